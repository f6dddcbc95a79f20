"""Variables from a file and from secret stores, which are read before all other settings."""

from imgforge.config.environment.variables import (
    EnvironmentMistake,
    StoreSettings,
    Variables,
    load_variables,
)

__all__ = ["EnvironmentMistake", "StoreSettings", "Variables", "load_variables"]
