"""Floating-point operations of dense networks, counted from their matrix products.

A linear layer with I inputs and H outputs takes 2 B I H operations for B rows in each of three products: the forward
pass, the gradient of its kernel and the gradient of its inputs. All other operations are few in comparison and are left
out, so the utilization that a benchmark reports is a lower bound.
"""

from itertools import pairwise


def forward(batch_size: int, *widths: int) -> float:
    """Counts the operations of a forward pass.

    Args:
        batch_size: number of rows B.
        *widths: widths of the layers, starting with the input.
    """
    return 2.0 * batch_size * sum(i * h for i, h in pairwise(widths))


def train(batch_size: int, *widths: int) -> float:
    """Counts the operations of a forward and a backward pass; the first layer needs no gradient of its inputs.

    Args:
        batch_size: number of rows B.
        *widths: widths of the layers, starting with the input.
    """
    return 3.0 * forward(batch_size, *widths) - 2.0 * batch_size * widths[0] * widths[1]
