"""Makes texts from the kernel safe for JSON. Pure."""


def safe_text(text: str) -> str:
    """A text safe for JSON: a name from the kernel may have bytes that are not UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
