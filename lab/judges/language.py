"""Judge: AWS's own language service has nothing to say about a definition, and can see."""

import json

from lab.judges import Finding
from lab.judges.node import Node


def judge(node: Node, machine: str, text: str) -> list[Finding]:
    """What it finds in a definition; and, if it is blind to a Next to nowhere, that."""
    findings = [Finding(machine, said) for said in node.lint(text)]
    if not node.lint(leading_nowhere(text)):
        findings.append(
            Finding(machine, "the language service does not see a Next to nowhere: what it says is worth nothing")
        )
    return findings


def leading_nowhere(text: str) -> str:
    """The definition with the first Next that it has leading to a state that is not there."""
    definition = json.loads(text)
    state = next(state for state in definition["States"].values() if "Next" in state)
    state["Next"] = "a state that is not there"
    return json.dumps(definition)
