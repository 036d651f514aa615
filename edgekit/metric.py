"""What a model's answers are worth: a number with a name, a unit and a direction."""

from __future__ import annotations

from dataclasses import dataclass

_PERCENT = "%"
#: What may be lost where nobody set a limit and the unit is no percentage: this part of the float model's value.
_SHARE = 0.05


@dataclass(frozen=True)
class Metric:
    """How a number on answers is to be read. By default: accuracy in percent.

    Attributes:
        name: What people call it.
        unit: ``%``, ``K``, ``m``; empty for a number without.
    """

    name: str = "accuracy"
    unit: str = _PERCENT
    higher_is_better: bool = True

    @property
    def title(self) -> str:
        """``accuracy %``, as the head of a column."""
        return f"{self.name} {self.unit}".strip()

    def drop(self, source: float, found: float) -> float:
        """How much worse *found* is than *source*; negative where it is better."""
        return source - found if self.higher_is_better else found - source

    def worth(self, value: float) -> float:
        """A number that is larger for a better value."""
        return value if self.higher_is_better else -value

    def allowed(self, source: float, points: float) -> float:
        """What a value may fall behind *source* where nobody set a limit: *points* of a percentage, or a twentieth."""
        return points if self.unit == _PERCENT else _SHARE * abs(source)

    def keeps(self, value: float, drop: float, points: float) -> bool:
        """Whether *value*, which is *drop* worse than its source, falls behind by no more than is `allowed`."""
        return drop <= self.allowed(value + self.worth(drop), points)

    def rounded(self, value: float) -> float:
        """For a record: three decimals of a percentage, else six digits that count."""
        return round(value, 3) if self.unit == _PERCENT else float(f"{value:.6g}")

    def number(self, value: float) -> str:
        """Two decimals of a percentage, else four digits that count."""
        return f"{value:.2f}" if self.unit == _PERCENT else f"{value:.4g}"

    def value(self, value: float) -> str:
        """``97.50 %``."""
        return f"{self.number(value)} {self.unit}".strip()

    def amount(self, drop: float) -> str:
        """The size of a difference: ``0.30 points``, ``0.012 K``."""
        unit = "points" if self.unit == _PERCENT else self.unit
        return f"{self.number(abs(drop))} {unit}".strip()

    def difference(self, drop: float) -> str:
        """``0.30 points below`` something, as the numbers are; empty where it is nothing."""
        if float(self.number(drop)) == 0:
            return ""
        return f"{self.amount(drop)} {'below' if (drop > 0) == self.higher_is_better else 'above'}"


ACCURACY = Metric()
