"""The notebook checker: rules (`compare`), nbval driven by them (`cells`), the `plugin`."""
