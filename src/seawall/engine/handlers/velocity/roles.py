"""Role keys, pause bits and recipients of protocol fees."""

from seawall.engine.explain import Explainer
from seawall.engine.rulebook import Handler
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction

HANDLERS: dict[type[Instruction], Handler] = {}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
