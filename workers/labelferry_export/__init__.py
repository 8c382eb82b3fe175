"""The export engine: sources, geometry, stages, formats, bundle. A library: it knows no socket, no broker, no clock of its own."""
