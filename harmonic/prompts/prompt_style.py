"""How prompts are written: the row format, the order of columns, and whether a prompt is a list of rows."""

from __future__ import annotations

from dataclasses import dataclass

from harmonic.errors import ConfigError
from harmonic.prompts.column_orders import ColumnOrders
from harmonic.prompts.row_format import RowFormat, find_row_format
from harmonic.tables.table import Schema


@dataclass(frozen=True)
class PromptStyle:
    """The settings of the prompts' form, for any schema.

    row_format, permutation, target: as in HarmonicGenerator. lists: prompts are lists of rows, and every row is learnt;
    else each is an instruction with one row as its answer.
    """

    row_format: str
    permutation: bool | str
    target: str
    lists: bool

    def row_format_of(self, schema: Schema) -> RowFormat:
        """Writes and reads rows of this schema. Raises ConfigError for an unknown format."""
        return find_row_format(self.row_format, schema)

    def orders_of(self, schema: Schema) -> ColumnOrders:
        """Draws the order of the columns. Raises ConfigError for an unknown order."""
        return ColumnOrders.of(schema, self.permutation, self.target)

    def check(self, schema: Schema) -> None:
        """Raise ConfigError if a setting is invalid, or if these settings do not go together."""
        orders, row_format = self.orders_of(schema), self.row_format_of(schema)
        if orders.permutation == "row" and (self.lists or not row_format.names_columns):
            problem = "all rows of a prompt need one order, since they are a list or do not name their columns"
            raise ConfigError("generator.permutation", self.permutation, problem, "generator.permutation=prompt")
