"""AWS on one machine: what the demo and the tests share. Never in the Lambda zip."""
