"""A real swarm of MatrixOS; its source is not part of this project: ``MATRIXOS_TREE`` names a copy of it."""
