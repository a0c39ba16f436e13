"""Reads the drawn labels and compares: judge.py SAMPLES FOLDER DAMAGE

Exit 0 when every label holds what it must; with a DAMAGE, when every spoilt label was found to be wrong.
"""

import json
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy
import zxingcpp
from PIL import Image

# Squares of ISO/IEC 16022, table 7, that ^BX can be told.
SIDES = {10, 12, 14, 16, 18, 20, 22, 24, 26, 32, 36, 40, 44, 48}
COMPLAINTS_SHOWN = 10


def read(picture):
    """The bytes and the symbology identifier of the only DataMatrix in the picture, by zxing-cpp."""
    found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.DataMatrix)
    return (bytes(found[0].bytes), found[0].symbology_identifier) if len(found) == 1 else (len(found), "")


def dmtxread(path):
    """The bytes by libdmtx; FNC1 comes as GS, also the first."""
    command = ["dmtxread", "-n", "-N1", "-G29", "-m3000", str(path)]
    return subprocess.run(command, capture_output=True, timeout=60).stdout.removesuffix(b"\n")


def modules(pixels, left, top, dots):
    """The modules of the symbol at this very place, as a matrix of dark ones, or what is wrong with it."""
    dark = pixels < 128
    column = dark[top:, left + dots // 2]
    light = numpy.flatnonzero(~column)
    height = int(light[0]) if light.size else len(column)
    side, rest = divmod(height, dots)
    if rest or side not in SIDES:
        return f"its left bar is {height} dots of modules of {dots}"
    right, end = left + side * dots, top + side * dots
    if right + dots > dark.shape[1] or end + dots > dark.shape[0] or left < dots or top < dots:
        return "the symbol or its quiet zone lies off the label"
    zone = dark[top - dots : end + dots, left - dots : right + dots].copy()
    symbol = zone[dots:-dots, dots:-dots].copy()
    zone[dots:-dots, dots:-dots] = False
    if zone.any():
        return "something lies in the quiet zone"
    blocks = symbol.reshape(side, dots, side, dots).sum(axis=(1, 3))
    if not numpy.isin(blocks, (0, dots * dots)).all():
        return "something lies on the symbol"
    return blocks > 0


def zint(sample, expected, path):
    """Has zint draw the same code; says whether it reads the same and whether its modules are the same."""
    if sample["gs1"]:
        first, *tail = expected.decode().split("\x1d")
        text = f"[01]{first[2:16]}[21]{first[18:]}" + "".join(f"[{part[:2]}]{part[2:]}" for part in tail)
        how = ["--gs1"] + ["--gssep"] * sample["gs"]
    else:
        text, how = expected.decode(), []
    command = ["zint", "-b", "71", "--square", "--scale=2", *how, "-o", str(path), "-d", text]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode != 0:
        return f"zint refuses it: {ran.stderr.strip()}", None
    picture = Image.open(path).convert("L")
    bordered = numpy.pad(numpy.asarray(picture), 16, constant_values=255)
    same = read(bordered) == (expected, "]d2" if sample["gs1"] else "]d1")
    return None if same else "zint's symbol reads otherwise", modules(bordered, 16, 16, 4)


def judge_picture(sample, expected, path, counts):
    """All that is wrong with one picture."""
    counts["pictures"] += 1
    wrong = []
    picture = Image.open(path).convert("L")
    pixels = numpy.asarray(picture)
    if (pixels.shape[1], pixels.shape[0]) != (sample["width"], sample["length"]):
        wrong.append(f"the picture is {picture.size}")
    text, identifier = read(picture)
    if text == expected:
        counts["zxing-cpp"] += 1
    else:
        wrong.append(f"zxing-cpp reads {text}")
    if identifier != ("]d2" if sample["gs1"] else "]d1"):
        wrong.append(f"it is {identifier or 'nothing'}")
    dots = sample["module"]
    drawn = modules(pixels, sample["x"], sample["y"], dots)
    if not isinstance(drawn, str):
        # libdmtx is shown the symbol and its quiet zone: on a whole label it misses some that it reads alone.
        left, top, end = sample["x"] - dots, sample["y"] - dots, (len(drawn) + 1) * dots
        path = path.with_suffix(".symbol.png")
        picture.crop((left, top, sample["x"] + end, sample["y"] + end)).save(path)
    text = dmtxread(path)
    if text == (b"\x1d" + expected if sample["gs1"] else expected):
        counts["dmtxread"] += 1
    else:
        wrong.append(f"dmtxread reads {text}")
    if isinstance(drawn, str):
        return wrong + [drawn], None
    counts["in place"] += 1
    counts[f"{len(drawn)}x{len(drawn)}"] += 1
    if sample["side"] not in (0, len(drawn)):
        wrong.append(f"it has {len(drawn)} modules, told were {sample['side']}")
    beside = (pixels < 128).copy()
    end = dots * len(drawn)
    beside[sample["y"] : sample["y"] + end, sample["x"] : sample["x"] + end] = False
    if not beside.any():
        wrong.append("there is no text")
    if sample["layout"] == "test" and (beside[:, [0, -1]].any() or beside[[0, -1], :].any()):
        wrong.append("the word TEST leaves the label")
    return wrong, drawn


def judge(number, sample, folder):
    """Everything wrong with one label, and counts."""
    counts, wrong = Counter(), []
    expected = bytes.fromhex(sample["symbol"])
    reference = None
    if shutil.which("zint") and sample["layout"] != "test":
        complaint, reference = zint(sample, expected, folder / f"{number}.zint.png")
        counts["zint"] += complaint is None
        wrong += [complaint] * (complaint is not None)
    pictures = [("zpl-renderer-js", folder / f"{number}.js.png")]
    if shutil.which("labelize"):
        path = folder / f"{number}.labelize.png"
        size = [f"--width={sample['width'] / 8}", f"--height={sample['length'] / 8}", "--dpmm=8"]
        subprocess.run(["labelize", "convert", str(folder / f"{number}.zpl"), *size, "-o", str(path)], capture_output=True)
        pictures.append(("labelize", path))
    for renderer, path in pictures:
        if not path.exists():
            wrong.append(f"{renderer} drew nothing")
            continue
        complaints, drawn = judge_picture(sample, expected, path, counts)
        wrong += [f"{renderer}: {complaint}" for complaint in complaints]
        same = drawn is not None and numpy.array_equal(drawn, reference)
        counts["modules as zint's"] += same
    return wrong, counts


def spoilt(damage, sample):
    """Whether the damage changes this label for certain."""
    symbol = bytes.fromhex(sample["symbol"])
    return {
        "escape": sample["gs1"] and b"_1" in symbol,
        "fnc1": sample["gs1"],
        "separator": b"\x1d" in symbol,
        "letter": True,
        "overlap": True,
        "size": sample["side"] > 0,
    }[damage]


def main():
    samples = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
    folder, damage = Path(sys.argv[2]), sys.argv[3]
    with ThreadPoolExecutor() as pool:
        judged = list(pool.map(lambda job: judge(job[0], job[1], folder), enumerate(samples)))
    if damage != "none":
        marked = [wrong for sample, (wrong, _) in zip(samples, judged) if spoilt(damage, sample)]
        found = sum(bool(wrong) for wrong in marked)
        example = next((wrong[0] for wrong in marked if wrong), "")
        print(f"spoilt by {damage}: {found} of {len(marked)} found, as: {example}")
        return 0 if marked and found == len(marked) else 1
    failed = [(n, sample, wrong) for n, (sample, (wrong, _)) in enumerate(zip(samples, judged)) if wrong]
    for layout in dict.fromkeys(sample["layout"] for sample in samples):
        counts, labels, bad = Counter(), 0, 0
        for sample, (wrong, one) in zip(samples, judged):
            if sample["layout"] == layout:
                counts, labels, bad = counts + one, labels + 1, bad + bool(wrong)
        told = ", ".join(f"{name} {counts[name]}" for name in sorted(counts))
        print(f"{layout:>10}: {labels - bad} of {labels} right ({told})")
    characters = {c for sample in samples for c in bytes.fromhex(sample["symbol"])} - {0x1D, 0x20}
    gs, stored = (sum(sample[kind] for sample in samples) for kind in ("gs", "stored"))
    sizes = Counter(sample["size"] for sample in samples)
    print(f"{len(characters)} characters; {gs} with GS, {stored} by a stored format; sizes {dict(sizes)}")
    for number, sample, wrong in failed[:COMPLAINTS_SHOWN]:
        print(f"label {number} ({sample['layout']} {sample['number']}, {sample['size']}): {'; '.join(wrong)}")
        print(f"  must be {bytes.fromhex(sample['symbol'])}")
    print(f"{len(samples) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not samples else 0


if __name__ == "__main__":
    sys.exit(main())
