"""The notebook checker: rules (`compare`), pytest plugin, planted faults, measured tolerances."""
