"""Pictures of each page of the console, for docs/console.md: python -m scripts.screenshots."""
