"""A report as one HTML file: what it says is a :class:`~adaptstilts.reports.page.model.Page`, whoever fills it.

:mod:`~adaptstilts.reports.page.study` fills the page of an ordinary study; ``html.render`` writes any page.
"""
