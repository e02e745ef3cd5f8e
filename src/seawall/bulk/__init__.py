"""The bulk lane: the rules of ``seawall.rules``, compiled unchanged, over rows in place.

Importing this package imports no compiler. ``available()`` says whether the machine can compile; where it cannot, the
exact lane does all the work and ``unavailable_reason()`` is one sentence to show.
"""

from seawall.bulk.library import available, unavailable_reason

__all__ = ["available", "unavailable_reason"]
