"""The operator's command line. It is never in the Lambda zip."""
