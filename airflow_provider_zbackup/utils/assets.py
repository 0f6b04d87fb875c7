"""What a task did with data, for Airflow's asset events and for OpenLineage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow.providers.common.compat.sdk import Asset, AssetAlias

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


class Effect(NamedTuple):
    """
    What one job or call of a task did with data.

    :param uris: the clusters and collections concerned, as asset URIs
    :param facts: what an asset event says about it in its ``extra``, as plain JSON
    """

    uris: Sequence[str]
    facts: Mapping[str, Any]


class ZillizEffects:
    """Mixin for operators that tell what they did with data."""

    outlets: list[Any]

    def effect(self, result: Mapping[str, Any]) -> Effect | None:
        """Return what a job or call with this result did with data; ``None`` publishes nothing."""
        return None

    def emit_asset_events(self, context: Context, results: Iterable[Mapping[str, Any]]) -> None:
        """
        Say in the events of the task's outlets what was done.

        The event of an asset gets the facts about that asset. If nothing was done with the asset, it gets the
        facts that are the same for all that was done. An alias gets one event for each asset concerned.

        Call this when the task ends: if it defers afterwards, Airflow drops the facts.
        """
        effects = [effect for result in results if (effect := self.effect(result)) is not None]
        for outlet in self.outlets if effects else ():
            if isinstance(outlet, AssetAlias):
                events = context["outlet_events"][outlet]
                for effect in effects:
                    for uri in effect.uris:
                        events.add(Asset(uri=uri), extra=dict(effect.facts))
            elif _is_asset(outlet):
                context["outlet_events"][outlet].extra = _facts_about(outlet, effects)


def _is_asset(outlet: Any) -> bool:
    """Tell whether an outlet is an asset; Airflow 3 has references to assets too."""
    return isinstance(outlet, Asset) or type(outlet).__name__ in ("AssetNameRef", "AssetUriRef")


def _facts_about(asset: Any, effects: Sequence[Effect]) -> dict[str, Any]:
    uri = getattr(asset, "uri", None)
    first, *others = [effect.facts for effect in effects if uri in effect.uris] or [
        effect.facts for effect in effects
    ]
    return {name: value for name, value in first.items() if all(value == other[name] for other in others)}
