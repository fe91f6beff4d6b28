"""The xAPI interface: all resources of xAPI 1.0.3 and 2.0."""
