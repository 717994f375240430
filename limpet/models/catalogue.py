"""The models by name."""

from limpet.models.base import Model
from limpet.models.compare_and_set import CompareAndSet
from limpet.models.fenced_mutex import FencedMutex
from limpet.models.mutex import Mutex
from limpet.models.register import Register
from limpet.models.session import Session
from limpet.models.string_map import StringMap

MODELS: dict[str, Model] = {
    model.name: model for model in (Register(), CompareAndSet(), StringMap(), Mutex(), FencedMutex(), Session())
}
