"""Links into AWS's console."""

_CONSOLES = {"aws-cn": "console.amazonaws.cn", "aws-us-gov": "console.amazonaws-us-gov.com"}


def execution(arn: str) -> str:
    """Where the console shows a Standard execution."""
    _, partition, _, region, *_ = arn.split(":")
    return f"{_console(partition, region)}/states/home?region={region}#/v2/executions/details/{arn}"


def task(arn: str) -> str:
    """Where the console shows an ECS task, while ECS remembers it (about an hour after it stopped)."""
    _, partition, _, region, *_ = arn.split(":")
    cluster, identity = arn.rsplit("/", 2)[-2:]
    return f"{_console(partition, region)}/ecs/v2/clusters/{cluster}/tasks/{identity}?region={region}"


def _console(partition: str, region: str) -> str:
    return f"https://{region}.{_CONSOLES.get(partition, 'console.aws.amazon.com')}"
