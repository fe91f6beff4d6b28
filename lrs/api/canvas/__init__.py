"""The Canvas interface: LTI tools, their callbacks, and page view reports."""
