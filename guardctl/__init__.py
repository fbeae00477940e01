"""The operator's command line. It is never in the Lambda zip."""

__version__ = "0.2.0"
