"""What systems are called."""

from ssar_jax.reporting.read.groups import Group

_PUBLISHED_NAMES = {
    ("td3_bc", "base"): "TD3+BC",
    ("td3_bc", "sa"): "TD3+BC(SA)",
    ("cql", "base"): "CQL",
    ("cql", "sa"): "CQL(SA)",
    ("iql", "corl"): "IQL",
    ("spot", "base"): "SPOT",
    ("fam_cql", "base"): "FamCQL",
}
_OWN_NAMES = {
    ("td3_bc", "base_ln"): "TD3+BC with LayerNorm",
    ("cql", "base_ln"): "CQL with LayerNorm",
    ("iql", "official"): "IQL (authors' form)",
    ("iql", "sa"): "IQL(SA)",
    ("spot", "sa"): "SPOT(SA)",
}


def system_name(algorithm: str, variant: str) -> str:
    """The system of a variant, as the paper names it where it has it."""
    key = algorithm, variant
    return _PUBLISHED_NAMES.get(key) or _OWN_NAMES.get(key) or f"{algorithm} {variant}"


def label(group: Group) -> str:
    """A system with what tells it from others of its name."""
    return " ".join(filter(None, (system_name(group.key.algorithm, group.key.variant), group.tag)))
