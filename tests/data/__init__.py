"""The emulator with real vectors: `make test-data` installs what these tests need."""
