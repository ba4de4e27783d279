"""Which model answers what: named models, and for each purpose the ones to ask. Pure."""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from bridge.contracts.agents import Frozen


class Purpose(StrEnum):
    """What a model is asked to do."""

    CLASSIFY = "classify"
    REASON = "reason"
    EXTRACT = "extract"
    WRITE = "write"
    PHRASE = "phrase"
    """Put given figures into words: no judgement, no tools."""


Provider = Literal["offline-analyst", "openai", "anthropic"]


class Price(Frozen):
    """US dollars for a million tokens. There is no price but the one that is declared."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)

    def microdollars(self, input_tokens: int, output_tokens: int) -> int:
        return round(self.input * input_tokens + self.output * output_tokens)


class ModelSpec(Frozen):
    """A model at an endpoint. ``api_key`` names the variable that holds the key, never the key."""

    provider: Provider
    model: str = ""
    base_url: str | None = None
    api_key: str | None = Field(default=None, pattern="^[A-Z][A-Z0-9_]*$")
    price: Price | None = None
    seconds: float = Field(default=240, gt=0, description="Longest wait for one answer")
    temperature: float | None = Field(default=None, ge=0, le=2, description="Leave out for the endpoint's own")

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if self.provider != "offline-analyst" and not self.model:
            raise ValueError("a model at an endpoint needs its name there: model: …")
        return self


class Ask(Frozen):
    """``models`` in the order they are asked; with ``race`` all at once, and the first good answer counts."""

    models: tuple[str, ...] = Field(min_length=1)
    race: bool = False


class ModelPolicy(Frozen):
    """The file of ``TANDEM_MODELS_FILE``. A purpose that is not named is served as ``reason`` is.

    ``embedding`` is the one model by which memories are found by meaning, without which they are found by words: the
    vectors of different models cannot be compared.
    """

    models: dict[str, ModelSpec] = Field(min_length=1)
    purposes: dict[Purpose, Ask]
    embedding: str | None = None

    @model_validator(mode="after")
    def _all_known(self) -> Self:
        if Purpose.REASON not in self.purposes:
            raise ValueError("purposes: reason is needed; it serves every purpose that is not named")
        for purpose, ask in self.purposes.items():
            for name in ask.models:
                if name not in self.models:
                    known = ", ".join(sorted(self.models))
                    raise ValueError(f"purposes: {purpose.value} asks {name!r}, which is not among models: {known}")
        if self.embedding is not None:
            spec = self.models.get(self.embedding)
            if spec is None or spec.provider != "openai":
                raise ValueError(f"embedding: {self.embedding!r} is no model at an OpenAI-compatible endpoint")
        return self

    def ask(self, purpose: Purpose) -> Ask:
        return self.purposes.get(purpose, self.purposes[Purpose.REASON])


def only(spec: ModelSpec) -> ModelPolicy:
    """One model for every purpose."""
    return ModelPolicy(models={"model": spec}, purposes={Purpose.REASON: Ask(models=("model",))})
