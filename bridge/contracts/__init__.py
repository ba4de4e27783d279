"""What crosses a process boundary. Standard library and pydantic only."""
