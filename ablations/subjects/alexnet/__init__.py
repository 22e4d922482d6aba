"""AlexNet (2012) and its lineage: networks, images and recipes whose components can be toggled."""
