"""The only part of the library that knows a MatrixSwarm's files and launchers."""
