"""placeholder"""
from typing import Any
def folded(*a: Any, **k: Any) -> Any:
    raise NotImplementedError
