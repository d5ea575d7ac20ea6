"""How pages look: one style sheet, light and dark, without fonts or pictures from elsewhere."""

from __future__ import annotations

INK, MUTED, GRID, FIRST, SECOND = "#1f2933", "#66717f", "#e4e8ed", "#2b6cb0", "#c05621"
"""The colours of charts in light mode; the sheet below finds them in the SVG and changes them in dark mode."""

SHEET = """
:root{color-scheme:light dark;--ink:#1f2933;--muted:#66717f;--line:#e4e8ed;--paper:#fff;--ground:#f6f7f9;
--first:#2b6cb0;--second:#c05621;--soft:#2b6cb033}
@media (prefers-color-scheme:dark){:root{--ink:#e6e9ee;--muted:#9aa5b4;--line:#333b46;--paper:#1b2027;
--ground:#12161b;--first:#6cb0f5;--second:#f29559;--soft:#6cb0f540}
svg [fill="#1f2933"]{fill:var(--ink)}svg [fill="#66717f"]{fill:var(--muted)}
svg [fill="#2b6cb0"]{fill:var(--first)}svg [fill="#c05621"]{fill:var(--second)}
svg [stroke="#1f2933"]{stroke:var(--ink)}svg [stroke="#66717f"]{stroke:var(--muted)}
svg [stroke="#e4e8ed"]{stroke:var(--line)}svg [stroke="#2b6cb0"]{stroke:var(--first)}
svg [stroke="#c05621"]{stroke:var(--second)}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1080px;margin:0 auto;padding:40px 24px 64px}
h1{font-size:28px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:18px;margin:44px 0 4px;letter-spacing:-.005em}
h3{font-size:14px;margin:0 0 2px;font-weight:600}
h2,h3{overflow-wrap:anywhere}
p{margin:0;color:var(--muted);max-width:92ch;overflow-wrap:anywhere}
.facts{display:flex;flex-wrap:wrap;gap:4px 22px;margin:12px 0 0;padding:0;list-style:none;color:var(--muted)}
.facts b{color:var(--ink);font-weight:600;overflow-wrap:anywhere}
.facts li{min-width:0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(290px,100%),1fr));gap:14px;margin-top:18px}
.card,figure,.sheet{background:var(--paper);border:1px solid var(--line);border-radius:10px;margin:0}
.card{padding:16px 18px 14px}
.card .name{color:var(--muted);font-size:13px}
.card .value{font-size:30px;line-height:1.25;font-weight:600;font-variant-numeric:tabular-nums;letter-spacing:-.02em}
.card .interval{font-size:13px;color:var(--muted);font-variant-numeric:tabular-nums;margin:0 0 6px}
.card p{font-size:13px;line-height:1.4;margin-top:8px}
.columns{display:grid;align-items:stretch;grid-template-columns:repeat(auto-fit,minmax(min(430px,100%),1fr));gap:14px;margin-top:16px}
.columns>*,.columns>.sheet{margin-top:0}.columns>.sheet{align-self:start}
section>figure{margin-top:16px}
figure{padding:16px 18px 12px;min-width:0}
figcaption p{font-size:13px;line-height:1.4;margin-bottom:10px}
figure>svg{display:block;width:100%;height:auto;max-width:560px;margin:0 auto}
figure>svg text{font-family:inherit}
.sheet{margin-top:16px;overflow-x:auto;padding:4px 0}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 12px;text-align:left;vertical-align:middle;white-space:nowrap}
td.text{white-space:normal;color:var(--muted);min-width:26ch;font-size:13px;line-height:1.4}
th{font-size:12.5px;font-weight:600;color:var(--muted);border-bottom:1px solid var(--line)}
tbody tr+tr td,tbody tr+tr th{border-top:1px solid var(--line)}
tbody th{color:var(--ink);font-size:15px;border-bottom:0}
.number{text-align:right}
.none{color:var(--muted)}
.measure b{font-weight:600}.measure small{font-size:12.5px;color:var(--muted)}
.measure .bar{max-width:200px}
.wide{overflow-x:auto;display:flex;flex-direction:column}
.matrix{width:auto;margin:auto}
.matrix td{text-align:center;min-width:112px;padding:18px 16px;border:3px solid var(--paper);border-radius:9px}
.few .matrix td{min-width:136px;padding:26px 16px}
.many .matrix td{min-width:0;padding:8px 6px}
.many .matrix th{white-space:normal;font-size:11px;padding:4px;max-width:84px;overflow-wrap:break-word}
.many .matrix b{font-size:14px}.many .matrix span{font-size:11px}
.matrix thead th{text-align:center;border:0;color:var(--ink)}
.matrix tbody th{text-align:right;border:0;font-weight:600;font-size:12.5px}
.matrix thead .corner{color:var(--muted);font-weight:400;text-align:right;line-height:1.35}
.matrix b{display:block;font-size:17px;line-height:1.3}
.matrix span{font-size:12.5px;opacity:.9}
.bar{display:block;width:100%;min-width:90px;height:14px}
.bar .track{stroke:var(--line)}.bar .range{fill:var(--soft)}.bar .point{fill:var(--first)}
.bar .mark{fill:var(--muted)}
.gallery{margin-top:18px}
.pictures{display:flex;flex-wrap:wrap;gap:10px;margin-top:10px}
.picture{background:var(--paper);border:1px solid var(--line);border-radius:10px;padding:8px;font-size:12px;
line-height:1.35;min-width:130px;width:min-content;overflow-wrap:anywhere}
.picture b{display:block;font-weight:600;font-size:13px;margin-top:6px}
.picture span{display:block;color:var(--muted)}
.views{display:flex;gap:6px}
.views img{display:block;object-fit:contain;border-radius:6px;background:#000;image-rendering:pixelated}
footer{margin-top:44px;padding-top:14px;border-top:1px solid var(--line);font-size:12.5px;color:var(--muted);
overflow-wrap:anywhere}
@media (max-width:600px){main{padding:24px 14px 40px}h1{font-size:23px}th,td{padding:6px 12px}
.sheet tbody th{white-space:normal;overflow-wrap:anywhere;min-width:calc(12ch + 24px)}
.matrix td,.few .matrix td{min-width:64px;padding:9px 6px}.matrix th{padding:6px}}
@media print{body{background:#fff}.card,figure,.sheet{break-inside:avoid}}
"""
