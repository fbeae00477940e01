"""Token buckets that count: AWS's way of limiting calls. A refused call costs no token."""

from dataclasses import dataclass

from chalicelib.decide.pace import Bucket, quotas


@dataclass
class Tokens:
    """A bucket in use, full at its first call. Times are seconds of any one clock."""

    bucket: Bucket
    granted: int = 0
    refused: int = 0
    _left: float = 0.0
    _at: float | None = None

    def take(self, now: float) -> bool:
        """Whether a call may pass."""
        came = self.bucket.burst if self._at is None else (now - self._at) * self.bucket.refill
        self._left, self._at = min(self.bucket.burst, self._left + came), now
        passes = self._left >= 1
        self._left -= passes
        self.granted += passes
        self.refused += not passes
        return passes


def of_region(region: str) -> dict[str, Bucket]:
    """Every quota that a guarded run meets; DescribeExecution's is that of most Regions."""
    return {"DescribeExecution": Bucket(250, 10), **{str(call): bucket for call, bucket in quotas(region).items()}}
