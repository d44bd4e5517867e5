// SPDX-License-Identifier: MIT OR Apache-2.0
//! Images, sound, drawings and documents: programs that convert or describe them.
//!
//! In: nothing. Out: the entries. **Invariant:** what a converter writes is a write, also where it only puts a new
//! file beside the old one; those that run delegates, scripts or filters are not harmless.

use ringfort_core::decision::Risk;
use ringfort_core::effect::EffectKind;

use super::Role::{Effect, Execute, Load, Mode as Set, Read, Shell, Value, Write};
use super::{Entry, Mode, Special, Style, attached, flag, low, medium, value};

const RUN: &[EffectKind] = &[EffectKind::ExecuteText];

pub(super) const ENTRIES: &[Entry] = &[
    low("dot neato fdp sfdp circo twopi osage patchwork")
        .options(&[
            value("-o", Write),
            value("-T -K -G -N -E -s -q -n -x -y", Value),
            value("-l", Load),
            flag("-O", Value),
        ])
        .operands(&[Read])
        .here(),
    low("gv2gml gml2gv graphml2gv gv2gxl gxl2gv acyclic bcomps ccomps cluster dijkstra edgepaint gc gvcolor gvpack mm2gv nop \
         prune sccmap tred unflatten")
        .options(&[value("-o", Write), value("-g -n -l -f -c -a -v -x -s", Value)])
        .operands(&[Read]),
    medium("gvpr").options(&[value("-f", Load), value("-o", Write), value("-a -i", Value)]).operands(&[Value, Read]).always(RUN),
    low("pdffonts pdftosrc pdfgrep pdfsig djvutxt djvudump catdoc catppt xls2csv antiword odt2txt unrtf")
        .options(&[value("-f -l -e -A -B -C -m -upw -opw --password -s -d -p -n --encoding", Value)])
        .operands(&[Read]),
    // A page description is a program; what it may do depends on options, and a name may be a pipe.
    low("ps2pdf pdf2ps ps2ascii eps2eps")
        .options(&[
            flag("-dNOSAFER -dDELAYSAFER", Effect(EffectKind::ExecuteText, Risk::High)),
            attached("-s -d", Value),
            attached("-sOutputFile", Effect(EffectKind::ExecuteText, Risk::High)),
            attached("--permit-file-all --permit-file-read --permit-file-write", Effect(EffectKind::Unknown, Risk::Medium)),
        ])
        .style(Style::Long)
        .operands(&[Read, Write])
        .special(Special::Pipes),
    low("pdfimages pdftohtml pdftops pdftoppm pdftocairo pdfseparate pdfdetach")
        .options(&[
            value("-f -l -r -x -y -W -H -scale-to -scale-to-x -scale-to-y -upw -opw -jpegopt -tiffcompression -save -c", Value),
            value("-o", Write),
        ])
        .style(Style::Long)
        .operands(&[Read, Write]),
    low("pdfunite").operands(&[Read]).last(Write),
    medium("qpdf").options(&[value("--job-json-file --password-file --copy-attachments-from --overlay --underlay", Read)]).operands(&[Read, Write]),
    medium("img2pdf ocrmypdf rsvg-convert potrace autotrace svg2png cairosvg svgexport")
        .options(&[value("-o --output --output-file", Write), value("-w -h -z -d -f --width --height --format -l -s", Value)])
        .operands(&[Read, Write]),
    medium("svgo").options(&[value("-o --output", Write), value("--config", Load), value("-i --input -f", Write)]).operands(&[Write]),
    low("pngcheck jpeginfo exifprobe webpinfo tiffinfo gifinfo heif-info soxi ogginfo opusinfo mkvinfo mp4info \
         flacinfo")
        .options(&[value("-f -p", Value)])
        .operands(&[Read]),
    low("chafa catimg jp2a viu timg img2txt cacaview tiv")
        .options(&[value("-s --size -w --width -h --height -c --colors -f --format -t -r -W -H --symbols", Value), value("-o --output", Write)])
        .operands(&[Read]),
    medium("jpegtran cjpeg djpeg")
        .options(&[value("-outfile", Write), value("-scans -icc", Read), value("-quality -rotate -flip -crop -copy -scale", Value)])
        .style(Style::Long)
        .operands(&[Read]),
    medium("pngquant oxipng pngcrush zopflipng advpng gifsicle jhead exiv2 id3v2 eyeD3 mp3info mp3gain vorbisgain metaflac")
        .options(&[
            value("-o --output -d --out", Write),
            value("-cmd", Shell),
            value("--plugin -P", Load),
            value("-a -t -l -n -g -c --quality --speed --ext", Value),
        ])
        .operands(&[Write]),
    low("dwebp gif2webp webpmux heif-convert heif-enc avifenc avifdec cjxl djxl")
        .options(&[value("-o --output", Write), value("-q -m -r -j -s", Value)])
        .operands(&[Read, Write]),
    medium("flac lame oggenc oggdec opusenc opusdec wavpack wvunpack mkvmerge mkvextract")
        .options(&[value("-o --output --output-name", Write), value("-b -q -V -m --preset -r", Value)])
        .operands(&[Read, Write])
        .here(),
    low("pngtopnm pngtopam pnmtopng pamtopng jpegtopnm pnmtojpeg ppmtojpeg giftopnm pamtogif ppmtogif tifftopnm pnmtotiff pamtotiff \
         bmptopnm bmptoppm ppmtobmp anytopnm pgmtopbm pbmtopgm ppmtopgm pgmtoppm pamtopnm pnmtopam pnmscale pamscale pamstretch \
         pnmcut pamcut pamcrop pnmcrop pnmpad pnmflip pamflip pnmrotate pnminvert pnmquant ppmquant pnmremap pnmcat pnmfile \
         pamfile pnmgamma pnmnorm pnmsmooth pnmtops pbmtext pbmmake ppmmake pgmmake pgmramp pgmhist ppmhist pgmnoise \
         xpmtoppm ppmtoxpm xbmtopbm pbmtoxbm icotopnm ppmtowinicon pcxtoppm ppmtopcx svgtopam fitstopnm pamtofits ppmcolormask \
         ppmchange ppmbrighten ppmdim ppmflash ppmdist ppmforge ppmlabel ppmmix ppmshift ppmspread pamarith pamaddrand pamblend \
         pamcomp pamdeinterlace pamedge pamenlarge pamfunc pamlookup pampick pamrgbatopng pamslice \
         pamsumm pbmtoepsi pbmtolj pbmtomgr pbmtonokia pbmtoascii asciitopgm pbmtolps pbmtog3 g3topbm \
         ppmtoyuv ppmtomitsu ppmcie ppmtoacad ppmtoarbtxt ppmtoeyuv ppmtolj ppmtopict ppmtopi1 ppmtosixel ppmtotga tgatoppm pnmtopalm \
         palmtopnm pnmtosgi sgitopnm pnmtorast rasttopnm pnmtosir sirtopnm pnmtoxwd xwdtopnm pnmtoddif pnmtofiasco fiascotopnm")
        .options(&[value("-palette -mapfile -alpha -background -map -colors", Read), value("-outfile -text -ztxt -time", Write)])
        .style(Style::Long)
        .operands(&[Value, Read]),
    medium("pamexec").style(Style::Posix).operands(&[Shell, Read]),
    medium("feh sxiv nsxiv imv mpv mplayer vlc cvlc mpg123 mpg321 ogg123 aplay play cmus fbi zathura evince mupdf xpdf")
        .options(&[
            value("-A --action --info --on-last-slide", Shell),
            value("--script --config-file --include -include --lua-intf", Load),
            value("--filelist -o --output --log-file", Write),
        ])
        .operands(&[Read])
        .always(RUN),
    medium("mutool").options(&[value("-o", Write)]).operands(&[Value, Read]).always(RUN),
    medium("latexmk pdfcrop pdfjam pdfjoin makeindex bibtex biber dvips dvipdfm dvipdfmx")
        .options(&[value("-o -outdir", Write), value("-r -e", Load), value("-pdflatex -latex", Execute), flag("-c -C", Set(Mode::Force))])
        .style(Style::Long)
        .operands(&[Read])
        .always(RUN),
];
