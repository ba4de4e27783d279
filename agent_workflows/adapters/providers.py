"""Models at their endpoints, asked as the model policy says: one after the other, or all at once.

Vendors' own retries are off: Temporal retries. Each request carries an ``Idempotency-Key`` made from the run and turn,
for endpoints that answer a repeated request from their first answer.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog
from pydantic import SecretStr
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError, UnexpectedModelBehavior
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.settings import ModelSettings

from agent_workflows.agents.models import ModelPolicy, ModelSpec, Price, Purpose
from agent_workflows.ports import PassedOver
from bridge.contracts.failures import Code, Owner, Refused, TandemError, Unavailable

if TYPE_CHECKING:
    from pydantic_ai.providers.openai import OpenAIProvider

RETRIED_STATUS: Final = frozenset({408, 409, 425, 429})
SERVER_ERROR: Final = 500

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``counts_tokens`` is off for the offline analyst: it reads no tokens, so none are reported."""

    model: Model
    price: Price | None = None
    seconds: float = 240
    temperature: float | None = None
    counts_tokens: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """``model`` is the name its endpoint goes by in usage: the vendor's own."""

    response: ModelResponse
    model: str
    input_tokens: int
    output_tokens: int
    cost_microdollars: int


class Models:
    """The endpoints of a model policy. ``ask`` gives the first good answer.

    Raises ``Unavailable`` if any endpoint may answer later, with the shortest wait it asked for, else ``Refused``.
    A refusal that is not raised, because another endpoint answered or may, is told to ``passed_over``.
    """

    def __init__(self, policy: ModelPolicy, endpoints: Mapping[str, Endpoint]) -> None:
        self._policy = policy
        self._endpoints = endpoints

    async def ask(
        self,
        purpose: Purpose,
        messages: Sequence[ModelMessage],
        parameters: ModelRequestParameters,
        *,
        key: str,
        passed_over: PassedOver,
    ) -> Answer:
        ask = self._policy.ask(purpose)
        failures: dict[str, TandemError] = {}

        async def one(name: str) -> Answer | None:
            try:
                return await _ask(self._endpoints[name], list(messages), parameters, key)
            except TandemError as error:
                failures[name] = error
                log.warning("model.failed", model=name, code=error.code.value, reason=str(error))
                return None

        answer = await (_race if ask.race else _in_turn)(ask.models, one)
        if answer is None:
            raised = _worst(list(failures.values()))
            await _tell(failures, raised, passed_over)
            raise raised
        await _tell(failures, None, passed_over)
        return answer


async def _tell(failures: Mapping[str, TandemError], raised: TandemError | None, passed_over: PassedOver) -> None:
    for name, error in failures.items():
        if isinstance(error, Refused) and error is not raised:
            await passed_over(name, error)


async def _in_turn(models: Sequence[str], one: Callable[[str], Coroutine[Any, Any, Answer | None]]) -> Answer | None:
    for name in models:
        if answer := await one(name):
            return answer
    return None


async def _race(models: Sequence[str], one: Callable[[str], Coroutine[Any, Any, Answer | None]]) -> Answer | None:
    """The slower ones are cancelled; what their vendors bill for that nobody can tell us."""
    waiting = {asyncio.ensure_future(one(name)) for name in models}
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if answer := task.result():
                    return answer
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return None


def _worst(failures: Sequence[TandemError]) -> TandemError:
    """A failure that may pass speaks for all: then it is worth asking again, after the shortest wait asked for."""
    passing = [error for error in failures if isinstance(error, Unavailable)]
    return min(passing, key=lambda error: error.retry_after or 0) if passing else failures[0]


async def _ask(
    endpoint: Endpoint, messages: list[ModelMessage], parameters: ModelRequestParameters, key: str
) -> Answer:
    settings = ModelSettings(extra_headers={"Idempotency-Key": key}, timeout=endpoint.seconds)
    if endpoint.temperature is not None:
        settings["temperature"] = endpoint.temperature
    name = endpoint.model.model_name
    async with _answering(name, endpoint.seconds):
        response = await model_request(
            endpoint.model, messages, model_settings=settings, model_request_parameters=parameters
        )
    usage = response.usage
    tokens = (usage.input_tokens, usage.output_tokens) if endpoint.counts_tokens else (0, 0)
    cost = endpoint.price.microdollars(*tokens) if endpoint.price else 0
    return Answer(response, response.model_name or name, *tokens, cost)


@asynccontextmanager
async def _answering(name: str, seconds: float) -> AsyncIterator[None]:
    """Whatever a model's client raises, in our failures; no answer within ``seconds`` is one."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except ModelAPIError as error:
        raise _sorted(error) from error
    except UnexpectedModelBehavior as error:
        raise Unavailable(f"the answer of the model {name!r} could not be read: {error}") from error
    except TimeoutError as error:
        raise Unavailable(f"the model {name!r} did not answer within {seconds:g} s") from error


class Embeddings:
    """The ``Embedder`` of the memory store, at an OpenAI-compatible endpoint."""

    def __init__(self, spec: ModelSpec, api_key: SecretStr | None) -> None:
        from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel  # noqa: PLC0415 - as in build_model

        self.name = spec.model
        self._seconds = spec.seconds
        self._model = OpenAIEmbeddingModel(spec.model, provider=_openai(spec, api_key))

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        try:
            async with _answering(self.name, self._seconds):
                found = await self._model.embed(list(texts), input_type="document")
            return _vectors(found.embeddings, len(texts))
        except (ValueError, TypeError) as error:
            raise Unavailable(f"the answer of the model {self.name!r} could not be read: {error}") from error


def _vectors(found: Sequence[Sequence[float]], wanted: int) -> Sequence[Sequence[float]]:
    """So many as were wanted, of one length, of numbers; raises ``ValueError``."""
    lengths = {len(vector) for vector in found}
    if len(found) != wanted or len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"{wanted} texts brought {len(found)} vectors of the lengths {sorted(lengths)}")
    if not all(math.isfinite(value) for vector in found for value in vector):
        raise ValueError("a vector holds what is no number")
    return found


def _sorted(error: ModelAPIError) -> TandemError:
    """Too many requests, server errors and cut lines are worth another try; other refusals never become a yes."""
    if not isinstance(error, ModelHTTPError):
        return Unavailable(f"the model {error.model_name!r} did not answer: {error}", retry_after=error.retry_after)
    if error.status_code in RETRIED_STATUS or error.status_code >= SERVER_ERROR:
        problem = f"the model {error.model_name!r} answered {error.status_code}"
        return Unavailable(problem, retry_after=error.retry_after)
    problem = f"the model {error.model_name!r} refused the request ({error.status_code}): {str(error.body)[:300]}"
    return Refused(Code.MODEL_REFUSED, problem, owner=Owner.PLATFORM)


def build_model(spec: ModelSpec, api_key: SecretStr | None) -> Model:
    """The client of a model at an endpoint, without retries of its own."""
    if spec.provider == "openai":
        from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415 - imported for this provider only

        return OpenAIChatModel(spec.model, provider=_openai(spec, api_key))
    from anthropic import AsyncAnthropic  # noqa: PLC0415
    from pydantic_ai.models.anthropic import AnthropicModel  # noqa: PLC0415
    from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: PLC0415

    anthropic = AsyncAnthropic(base_url=spec.base_url, api_key=_text(api_key), max_retries=0)
    return AnthropicModel(spec.model, provider=AnthropicProvider(anthropic_client=anthropic))


def _openai(spec: ModelSpec, api_key: SecretStr | None) -> "OpenAIProvider":
    from openai import AsyncOpenAI  # noqa: PLC0415
    from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415

    client = AsyncOpenAI(base_url=spec.base_url, api_key=_text(api_key), max_retries=0)
    return OpenAIProvider(openai_client=client)


def _text(api_key: SecretStr | None) -> str:
    return api_key.get_secret_value() if api_key else "not-needed"
