"""Horizontal bars as plain SVG, readable on light and dark pages."""

from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 720, 170, 90
BAR, GAP, GROUP_GAP = 18, 5, 34
COLOURS = ("#1f77b4", "#9a9a9a")


def bars(title, unit, groups, digits=1):
    """`groups`: [(name, [(series, value), …])]; bars of all groups share one scale."""
    largest = max((value for _, series in groups for _, value in series), default=1) or 1
    scale = (WIDTH - LEFT - RIGHT) / largest
    parts, y = [], 56
    for name, series in groups:
        parts.append(f'<text x="16" y="{y - 8}" class="group">{escape(name)}</text>')
        for index, (label, value) in enumerate(series):
            length = max(1.0, value * scale)
            middle = y + BAR - 5
            parts.append(f'<text x="{LEFT - 8}" y="{middle}" class="label" text-anchor="end">{escape(label)}</text>')
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" rx="2" fill="{COLOURS[index % 2]}"/>')
            parts.append(f'<text x="{LEFT + length + 6:.1f}" y="{middle}" class="value">{value:,.{digits}f} {escape(unit)}</text>')
            y += BAR + GAP
        y += GROUP_GAP
    height = y - GROUP_GAP + 14
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
            f'aria-label="{escape(title)}">\n'
            "<style>text{font:13px system-ui,sans-serif;fill:#222}.title{font-weight:600;font-size:15px}.group{font-weight:600}"
            "@media(prefers-color-scheme:dark){text{fill:#ddd}}</style>\n"
            f'<text x="16" y="24" class="title">{escape(title)}</text>\n' + "\n".join(parts) + "\n</svg>\n")
