"""Lengths in, rows out: which pieces share a row.

Best fit, longest first, into the fullest row that still has room: "Fewer Truncations Improve Language Modeling",
https://arxiv.org/abs/2404.10830. Rows are found by the room they have left, in one whole number whose bits say which
rooms there are, so a piece costs about a microsecond whatever their number.
"""

from collections.abc import Sequence


def best_fit(lengths: Sequence[int], width: int) -> list[list[int]]:
    """Rows of numbers of pieces, none of more than `width` positions in all; every piece is in exactly one.

    Lengths are 1 to `width`. Same lengths, same rows.
    """
    rows: list[list[int]] = []
    by_room: list[list[int]] = [[] for _ in range(width + 1)]
    rooms = 0  # bit r: there are rows with room r
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        length = lengths[number]
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1
            row = by_room[room].pop()
            if not by_room[room]:
                rooms ^= 1 << room
            rows[row].append(number)
        else:
            room, row = width, len(rows)
            rows.append([number])
        left = room - length
        if left:
            by_room[left].append(row)
            rooms |= 1 << left
    return rows


def of_like_length(lengths: Sequence[int], order: Sequence[int], group: int) -> list[list[int]]:
    """One piece to a row, neighbours in groups of `group` of like length; `order` shuffles groups and their insides.

    `order` is a permutation of the pieces' numbers.
    """
    by_length = sorted(order, key=lambda number: lengths[number])
    groups = [by_length[start : start + group] for start in range(0, len(by_length), group)]
    rank = {number: place for place, number in enumerate(order)}
    groups.sort(key=lambda members: rank[members[0]])
    return [[number] for members in groups for number in sorted(members, key=rank.__getitem__)]
