"""What every page looks like: light or dark as the reader's system is, on a phone, on a desk and on paper."""

from rfcx_ssl.pictures.palette import ABSENT, PRESENT, SYSTEMS, SYSTEMS_ON_DARK

DASHES = ("none", "7 3", "2 3", "9 3 2 3", "5 2", "1 2", "12 4")  # of lines, beside their colors


def _colors(colors: tuple[str, ...]) -> str:
    return "".join(f"--c{place}:{color};" for place, color in enumerate(colors))


_CLASSES = "".join(
    f".c{place}{{--c:var(--c{place});--dash:{dash}}}" for place, dash in zip(range(len(SYSTEMS)), DASHES, strict=True)
)
_DARK = f"""--ink:#e2e9e4;--paper:#151b18;--soft:#c2cdc6;--quiet:#9dada4;--line:#36423b;--card:#1e2622;--best:#1f4029;
--code:#28312c;--mark:#56b4e9;--link:#7cc4f0;{_colors(SYSTEMS_ON_DARK)}"""
_LIGHT = f"""--ink:#1d2b24;--paper:#fbfaf6;--soft:#3c4d44;--quiet:#5a6b61;--line:#dcd8cb;--card:#fff;--best:#e4f1e6;
--code:#efece2;--mark:#0072b2;--link:#00558a;{_colors(SYSTEMS)}"""

STYLE = f"""
:root{{color-scheme:light dark;--present:{PRESENT};--absent:{ABSENT};{_LIGHT}}}
@media(prefers-color-scheme:dark){{:root{{{_DARK}}}}}
{_CLASSES}
*{{box-sizing:border-box}}
body{{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:1120px;margin:2rem auto;
padding:0 1rem;overflow-wrap:anywhere}}
h1{{font-size:1.7rem;margin:0 0 .3rem;line-height:1.25}}h2{{margin:2.4rem 0 .6rem;font-size:1.25rem}}
h3{{margin:1.6rem 0 .4rem;font-size:1.05rem}}h2,h3{{line-height:1.3;break-after:avoid}}
a{{color:var(--link)}}:focus-visible{{outline:3px solid var(--mark);outline-offset:2px}}
.skip{{position:absolute;left:-999rem}}.skip:focus{{position:static}}
p.lead{{font-size:1.08rem;margin:.2rem 0 1.2rem;color:var(--soft)}}p.note{{color:var(--quiet);font-size:.9rem;margin:.4rem 0}}
nav{{margin:1.2rem 0;padding:.6rem .9rem;background:var(--card);border:1px solid var(--line);border-radius:6px}}
nav ul{{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;margin:0;padding:0}}nav a{{display:inline-block;padding:.2rem 0}}
.wide{{overflow-x:auto}}table{{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}}
th,td{{padding:.45rem .7rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;font-weight:400}}
thead th{{font-weight:600;color:var(--quiet);font-size:.87rem}}
th:first-child,td:first-child{{text-align:left}}td.best{{background:var(--best);font-weight:600}}tr.floor td{{color:var(--quiet)}}
.gate{{padding:.6rem .9rem;margin:.5rem 0;border-left:5px solid;border-radius:3px;background:var(--card)}}
.holds{{border-color:#1b9e5a}}.fails{{border-color:#d1382c}}
img{{max-width:100%;height:auto;background:#fff;border:1px solid var(--line)}}
svg{{display:block;font-size:11px;fill:var(--ink)}}svg rect{{fill:var(--mark)}}svg line{{stroke:var(--line)}}
details{{margin:.4rem 0}}summary{{cursor:pointer;padding:.3rem 0}}ol.hear li{{margin:.5rem 0}}audio{{width:100%;max-width:420px;height:36px}}
footer{{margin-top:3rem;color:var(--quiet);font-size:.87rem;border-top:1px solid var(--line);padding-top:.8rem}}
code{{background:var(--code);padding:.1em .3em;border-radius:3px}}
.panels{{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(250px,100%),1fr));gap:.8rem 1rem;margin:.6rem 0}}
figure{{margin:0;break-inside:avoid}}figcaption{{font-size:.87rem;color:var(--soft);margin:0 0 .2rem}}
.panels figure>svg{{width:100%;height:auto;background:var(--card);border:1px solid var(--line);border-radius:4px}}
svg .grid{{stroke:var(--line);stroke-width:.7}}svg text{{fill:var(--quiet)}}svg text.name{{fill:var(--ink)}}
.panels svg text{{paint-order:stroke;stroke:var(--card);stroke-width:3px}}
svg .series{{stroke:var(--c);fill:none;stroke-width:1.8;stroke-dasharray:var(--dash);stroke-linejoin:round}}
svg .dot{{fill:var(--c);stroke:var(--paper);stroke-width:.6}}svg .level{{stroke:var(--quiet);stroke-width:1.2;stroke-dasharray:2 3}}
svg .whisker{{stroke:var(--c);stroke-width:2.2}}svg .zero{{stroke:var(--ink);stroke-width:1}}
svg .blind{{stroke:var(--quiet);stroke-width:2}}
.key{{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;list-style:none;margin:.3rem 0;padding:0;font-size:.9rem}}
.key svg{{display:inline-block;vertical-align:-2px;width:28px;height:14px}}
.key button{{font:inherit;color:inherit;background:none;border:1px solid transparent;border-radius:4px;padding:.15rem .35rem;cursor:pointer}}
.key button:hover,.key button[aria-pressed=true]{{border-color:var(--mark);background:var(--card)}}
td.bars{{width:60%;min-width:10rem}}.track{{position:relative;height:1.15rem;margin:2px 0;background:var(--card);border-radius:2px}}
.track i{{position:absolute;top:0;bottom:0}}.track .bar{{left:0;background:var(--c);opacity:.55;border-radius:2px}}
.track .range{{top:46%;bottom:46%;background:var(--ink);opacity:.75}}.track .tick{{width:2px;background:var(--ink)}}
.track b{{position:absolute;right:0;padding:0 .3rem;background:var(--card);border-radius:2px;font-size:.78rem;line-height:1.15rem;font-weight:600}}td.name,th.name{{white-space:normal}}
.scene{{display:grid;grid-template-columns:11rem minmax(0,1fr);gap:3px .6rem;align-items:center;margin:.5rem 0}}
.scene .label{{font-size:.84rem;text-align:right;line-height:1.2}}.scene .stage{{position:relative;line-height:0}}
.scene img{{width:100%;border:0;background:#000;display:block}}.scene .sound img{{height:240px}}.scene .row img{{height:18px}}
.box{{position:absolute;border:2px solid var(--present);pointer-events:auto}}.box.absent{{border-style:dashed;border-color:var(--absent)}}
.box.detected{{border:2px dotted #fffc}}.row .box{{top:0;bottom:0;border-width:0 2px}}.row .box.detected{{top:auto;bottom:2px;height:3px;border:0;background:#fff;box-shadow:0 0 0 1px #000}}
.box b{{position:absolute;left:0;top:0;padding:1px 3px;font:600 11px/1 system-ui,sans-serif;color:#fff;background:#000b}}
.axis{{position:relative;height:1.1rem;font-size:.75rem;color:var(--quiet)}}.axis span{{position:absolute;transform:translateX(-50%);white-space:nowrap}}
.playhead{{position:absolute;top:0;bottom:0;width:2px;background:#fff;opacity:0;pointer-events:none}}
.state{{display:inline-block;width:1.6em;height:.9em;border:2px solid var(--present);vertical-align:-1px;background:#333}}
.state.absent{{border:2px dashed var(--absent)}}.state.detected{{border:2px dotted #fff}}
.scatter{{max-width:560px}}.scatter .dim{{opacity:.08}}
@media(max-width:640px){{.wide>img{{max-width:none;width:760px}}body{{margin:1rem auto}}h1{{font-size:1.4rem}}th,td{{padding:.35rem .45rem}}
.scene{{grid-template-columns:minmax(0,1fr)}}.scene .label{{text-align:left;margin-top:.25rem}}.scene .label:empty{{display:none}}
.scene .sound img{{height:170px}}.bartable thead{{display:none}}
.bartable tr{{display:flex;flex-wrap:wrap;justify-content:space-between;border-bottom:1px solid var(--line);padding:.3rem 0}}
.bartable td,.bartable th{{border:0;padding:.1rem 0}}.bartable td.bars{{flex:0 0 100%}}}}
@media print{{:root{{{_LIGHT}color-scheme:light}}body{{max-width:none;margin:0;font-size:10.5pt}}
*{{print-color-adjust:exact;-webkit-print-color-adjust:exact}}nav,audio,.skip,.playhead,.screen{{display:none}}
.wide{{overflow:visible}}section{{break-inside:auto}}tr,.scene{{break-inside:avoid}}.wide svg{{max-width:100%;height:auto}}
th,td{{white-space:normal;overflow-wrap:normal;padding:.2rem .35rem;font-size:8.5pt}}
details>summary{{list-style:none}}.panels{{grid-template-columns:repeat(3,1fr)}}}}
"""

SCRIPT = """
addEventListener('beforeprint',()=>document.querySelectorAll('details:not(.screen)').forEach(d=>d.open=true));
document.querySelectorAll('article.heard').forEach(card=>{
const audio=card.querySelector('audio'),heads=card.querySelectorAll('.playhead');if(!audio)return;
const show=()=>heads.forEach(h=>{h.style.opacity=1;h.style.left=100*audio.currentTime/(audio.duration||1)+'%'});
const run=()=>{show();if(!audio.paused)requestAnimationFrame(run)};
audio.addEventListener('play',run);audio.addEventListener('seeked',show);
card.querySelectorAll('.stage').forEach(s=>s.addEventListener('click',e=>{const r=s.getBoundingClientRect();
audio.currentTime=(e.clientX-r.left)/r.width*(audio.duration||0);audio.play()}))});
document.querySelectorAll('.scatter').forEach(map=>map.querySelectorAll('button').forEach(b=>b.addEventListener('click',()=>{
const on=b.getAttribute('aria-pressed')!=='true';
map.querySelectorAll('button').forEach(o=>o.setAttribute('aria-pressed',o===b&&on));
map.querySelectorAll('[data-group]').forEach(p=>p.classList.toggle('dim',on&&p.dataset.group!==b.dataset.of))})));
"""
