"""Charts: the data of a figure and how they are drawn; one module a family.

Another chart is a class with the attributes and methods of :class:`Chart`; nothing has to know it by name.
"""

from adaptstilts.reports.page.charts.base import Chart, Value

__all__ = ["Chart", "Value"]
