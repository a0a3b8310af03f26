"""How numbers are written in the sentences and tables of a report."""

from __future__ import annotations

from simulator.counted import counted

__all__ = ["chance", "counted", "listed", "percents", "points", "shortened", "signed"]


def percents(share: float) -> str:
    """Write a share: 0.912 -> "91.2%"."""
    return f"{100 * share:.1f}%"


def points(difference: float) -> str:
    """Write the size of a difference of shares: -0.012 -> "1.2 points"."""
    size = f"{abs(100 * difference):.1f}"
    return f"{size} point" if size == "1.0" else f"{size} points"


def signed(difference: float) -> str:
    """Write a difference of shares in points with its sign: -0.012 -> "−1.2"."""
    text = f"{100 * difference:+.1f}".replace("-", "−")
    return "0.0" if text in ("+0.0", "−0.0") else text


def chance(p: float) -> str:
    """Write the p of a test: "p < 0.001", "p = 0.012", "p = 0.31", with digits enough near 0.05."""
    if p < 0.001:
        return "p < 0.001"
    text = f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
    if text == "0.050":
        text = f"{p:.4f}"
    return f"p = {text}".replace("p = 1.00", "p = 1")


def listed(parts: list[str]) -> str:
    """Join with commas and a last "and"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def shortened(name: str, most: int = 30) -> str:
    """Leave out the middle of a long name: beginning and end tell most names apart."""
    end = most * 2 // 5
    return name if len(name) <= most else f"{name[: most - end - 1]}…{name[-end:]}"
