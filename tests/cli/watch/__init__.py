"""The live view: its pure parts, and the real command on a real terminal."""
