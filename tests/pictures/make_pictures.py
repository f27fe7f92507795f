# SPDX-License-Identifier: Apache-2.0
"""Small pictures of every kind that is taken, each with its pixels as Pillow reads them: NAME.ppm.

    python3 -m venv venv
    venv/bin/pip install pillow==13.0.0 numpy==2.4.6
    venv/bin/python make_pictures.py

Transparency is laid over white, and what the camera says of how it was held is followed, as transformers does
before it prepares a picture."""

import pathlib
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

FOLDER = pathlib.Path(__file__).parent
WIDTH, HEIGHT = 23, 17


def colours(width=WIDTH, height=HEIGHT):
    y, x = np.mgrid[0:height, 0:width]
    red = x * 255 // (width - 1)
    green = y * 255 // (height - 1)
    blue = ((x // 4 + y // 4) & 1) * 255
    return np.stack([red, green, blue], -1).astype(np.uint8)


def upright(path):
    image = ImageOps.exif_transpose(Image.open(path))
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def keep(name, image, **how):
    path = FOLDER / name
    image.save(path, **how)
    keep_pixels(path)


def keep_pixels(path):
    pixels = upright(path)
    with open(path.with_suffix(path.suffix + ".ppm"), "wb") as out:
        out.write(b"P6 %d %d 255\n" % (pixels.shape[1], pixels.shape[0]))
        out.write(pixels.tobytes())


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(
        ">I", zlib.crc32(kind + data)
    )


def write_interlaced(path, pixels):
    """Pillow writes none: the seven passes by hand."""
    height, width, channels = pixels.shape
    lines = b""
    for x, y, dx, dy in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        part = pixels[y::dy, x::dx]
        if part.size:
            lines += b"".join(b"\0" + row.tobytes() for row in part)
    kind = {3: 2, 4: 6}[channels]
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 1))
        + chunk(b"IDAT", zlib.compress(lines, 9))
        + chunk(b"IEND", b"")
    )
    keep_pixels(path)


def main():
    rgb = colours()
    image = Image.fromarray(rgb)
    alpha = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    rgba = np.dstack([rgb, alpha])
    clear = Image.fromarray(rgba)

    keep("rgb.png", image)
    keep("alpha.png", clear)
    keep("grey.png", image.convert("L"))
    keep("grey-alpha.png", clear.convert("LA"))
    keep("bits.png", image.convert("1"))
    keep("palette.png", image.quantize(16))
    keep("transparent.png", image.quantize(16), transparency=3)
    write_interlaced(FOLDER / "interlaced.png", rgb)
    write_interlaced(FOLDER / "interlaced-alpha.png", rgba)

    keep("colour.jpg", image, quality=90)
    keep("full.jpg", image, quality=95, subsampling=0)
    keep("progressive.jpg", image, quality=90, progressive=True)
    keep("grey.jpg", image.convert("L"), quality=90)
    keep("inks.jpg", image.convert("CMYK"), quality=95)
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        keep(f"held-{orientation}.jpg", image, quality=90, exif=exif)

    keep("lossy.webp", image, quality=90)
    keep("lossless.webp", image, lossless=True)
    keep("alpha.webp", clear, lossless=True)
    Image.fromarray(rgb).save(
        FOLDER / "moving.webp", save_all=True, append_images=[Image.fromarray(255 - rgb)]
    )


if __name__ == "__main__":
    main()
