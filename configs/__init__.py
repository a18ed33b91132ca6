"""Named settings (YAML presets) and how they, files and options become one checked config."""
