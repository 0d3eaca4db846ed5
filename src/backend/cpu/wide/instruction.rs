//! The vector instructions that the wide emitter uses: names and encodings.
//!
//! Must not know: registers, how code is made.

/// An instruction on vectors.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opcode {
    /// Its name.
    pub name: &'static str,
    /// VEX.pp: 0 none, 1 0x66, 2 0xf3, 3 0xf2.
    pub prefix: u8,
    /// VEX.mmmmm: 1 0F, 2 0F38, 3 0F3A.
    pub map: u8,
    /// VEX.W.
    pub wide: u8,
    /// VEX.L: 1 for 256 bits.
    pub long: u8,
    /// The opcode byte.
    pub code: u8,
    /// Whether it has an EVEX prefix, with the same fields, as it is an instruction of AVX-512.
    pub evex: bool,
}

/// What follows the operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Immediate {
    /// Nothing.
    None,
    /// A byte.
    Byte(u8),
    /// A fourth register.
    Register(u8),
}

impl Immediate {
    /// Its byte.
    pub fn byte(self) -> Option<u8> {
        match self {
            Immediate::None => None,
            Immediate::Byte(byte) => Some(byte),
            Immediate::Register(register) => Some(register << 4),
        }
    }
}

macro_rules! opcodes {
    ($($constant:ident $name:literal $prefix:literal $map:literal $wide:literal $long:literal $code:literal $($evex:ident)?;)*) => {
        $(pub(super) static $constant: Opcode = Opcode {
            name: $name,
            prefix: $prefix,
            map: $map,
            wide: $wide,
            long: $long,
            code: $code,
            evex: !stringify!($($evex)?).is_empty(),
        };)*

        /// Every opcode.
        #[cfg(test)]
        pub(super) static ALL: &[&Opcode] = &[$(&$constant),*];
    };
}

opcodes! {
    ADDPS "vaddps" 0 1 0 1 0x58;
    ADDPD "vaddpd" 1 1 0 1 0x58;
    SUBPS "vsubps" 0 1 0 1 0x5c;
    SUBPD "vsubpd" 1 1 0 1 0x5c;
    MULPS "vmulps" 0 1 0 1 0x59;
    MULPD "vmulpd" 1 1 0 1 0x59;
    DIVPS "vdivps" 0 1 0 1 0x5e;
    DIVPD "vdivpd" 1 1 0 1 0x5e;
    MINPS "vminps" 0 1 0 1 0x5d;
    MINPD "vminpd" 1 1 0 1 0x5d;
    MAXPS "vmaxps" 0 1 0 1 0x5f;
    MAXPD "vmaxpd" 1 1 0 1 0x5f;
    SQRTPS "vsqrtps" 0 1 0 1 0x51;
    SQRTPD "vsqrtpd" 1 1 0 1 0x51;
    ROUNDPS "vroundps" 1 3 0 1 0x08;
    ROUNDPD "vroundpd" 1 3 0 1 0x09;
    CMPPS "vcmpps" 0 1 0 1 0xc2;
    CMPPD "vcmppd" 1 1 0 1 0xc2;
    AND "vandps" 0 1 0 1 0x54;
    ANDN "vandnps" 0 1 0 1 0x55;
    OR "vorps" 0 1 0 1 0x56;
    XOR "vxorps" 0 1 0 1 0x57;
    BLENDPS "vblendps" 1 3 0 1 0x0c;
    BLENDVPS "vblendvps" 1 3 0 1 0x4a;
    BLENDVPD "vblendvpd" 1 3 0 1 0x4b;
    FMADD213PS "vfmadd213ps" 1 2 0 1 0xa8;
    FMADD213PD "vfmadd213pd" 1 2 1 1 0xa8;
    FMADD231PS "vfmadd231ps" 1 2 0 1 0xb8;
    FMADD231PD "vfmadd231pd" 1 2 1 1 0xb8;
    FMSUB213PS "vfmsub213ps" 1 2 0 1 0xaa;
    FMSUB213PD "vfmsub213pd" 1 2 1 1 0xaa;
    FMSUB231PS "vfmsub231ps" 1 2 0 1 0xba;
    FMSUB231PD "vfmsub231pd" 1 2 1 1 0xba;
    FNMADD213PS "vfnmadd213ps" 1 2 0 1 0xac;
    FNMADD213PD "vfnmadd213pd" 1 2 1 1 0xac;
    FNMADD231PS "vfnmadd231ps" 1 2 0 1 0xbc;
    FNMADD231PD "vfnmadd231pd" 1 2 1 1 0xbc;
    COPY "vmovaps" 0 1 0 1 0x28;
    LOAD "vmovups" 0 1 0 1 0x10;
    STORE "vmovups" 0 1 0 1 0x11;
    STREAM "vmovntps" 0 1 0 1 0x2b;
    STORE_LOW_64 "vmovq" 1 1 0 0 0xd6;
    STORE_LOW_32 "vmovd" 1 1 0 0 0x7e;
    LOAD_LOW_64 "vmovq" 2 1 0 0 0x7e;
    LOAD_LOW_32 "vmovd" 1 1 0 0 0x6e;
    MASKLOADPS "vmaskmovps" 1 2 0 1 0x2c;
    MASKLOADPD "vmaskmovpd" 1 2 0 1 0x2d;
    MASKSTOREPS "vmaskmovps" 1 2 0 1 0x2e;
    MASKSTOREPD "vmaskmovpd" 1 2 0 1 0x2f;
    BROADCASTSS "vbroadcastss" 1 2 0 1 0x18;
    BROADCASTSD "vbroadcastsd" 1 2 0 1 0x19;
    PADDD "vpaddd" 1 1 0 1 0xfe;
    PADDQ "vpaddq" 1 1 0 1 0xd4;
    PSUBD "vpsubd" 1 1 0 1 0xfa;
    PSUBQ "vpsubq" 1 1 0 1 0xfb;
    PMULLD "vpmulld" 1 2 0 1 0x40;
    PMULUDQ "vpmuludq" 1 1 0 1 0xf4;
    PABSD "vpabsd" 1 2 0 1 0x1e;
    PMINSD "vpminsd" 1 2 0 1 0x39;
    PMINUD "vpminud" 1 2 0 1 0x3b;
    PMAXSD "vpmaxsd" 1 2 0 1 0x3d;
    PMAXUD "vpmaxud" 1 2 0 1 0x3f;
    PCMPEQD "vpcmpeqd" 1 1 0 1 0x76;
    PCMPEQQ "vpcmpeqq" 1 2 0 1 0x29;
    PCMPGTD "vpcmpgtd" 1 1 0 1 0x66;
    PCMPGTQ "vpcmpgtq" 1 2 0 1 0x37;
    PSLLVD "vpsllvd" 1 2 0 1 0x47;
    PSLLVQ "vpsllvq" 1 2 1 1 0x47;
    PSRLVD "vpsrlvd" 1 2 0 1 0x45;
    PSRLVQ "vpsrlvq" 1 2 1 1 0x45;
    PSRAVD "vpsravd" 1 2 0 1 0x46;
    PTEST "vptest" 1 2 0 1 0x17;
    PSHUFB "vpshufb" 1 2 0 1 0x00;
    PUNPCKLWD "vpunpcklwd" 1 1 0 1 0x61;
    PUNPCKLDQ "vpunpckldq" 1 1 0 1 0x62;
    PMOVSXDQ "vpmovsxdq" 1 2 0 1 0x25;
    PMOVZXDQ "vpmovzxdq" 1 2 0 1 0x35;
    PMOVSXBD "vpmovsxbd" 1 2 0 1 0x21;
    PMOVZXBD "vpmovzxbd" 1 2 0 1 0x31;
    PMOVZXBQ "vpmovzxbq" 1 2 0 1 0x32;
    PERMQ "vpermq" 1 3 1 1 0x00;
    PERM2F128 "vperm2f128" 1 3 0 1 0x06;
    SHUFPS "vshufps" 0 1 0 1 0xc6;
    PERMILPS "vpermilps" 1 3 0 1 0x04;
    PERMILPD "vpermilpd" 1 3 0 1 0x05;
    INSERTF128 "vinsertf128" 1 3 0 1 0x18;
    CVTPS2PD "vcvtps2pd" 0 1 0 1 0x5a;
    CVTPD2PS "vcvtpd2ps" 1 1 0 1 0x5a;
    CVTDQ2PS "vcvtdq2ps" 0 1 0 1 0x5b;
    CVTDQ2PD "vcvtdq2pd" 2 1 0 1 0xe6;
    CVTTPS2DQ "vcvttps2dq" 2 1 0 1 0x5b;
    CVTTPD2DQ "vcvttpd2dq" 1 1 0 1 0xe6;
    CVTTPS2UDQ "vcvttps2udq" 0 1 0 1 0x78 evex;
    CVTTPD2UDQ "vcvttpd2udq" 0 1 1 1 0x78 evex;
    CVTTPD2QQ "vcvttpd2qq" 1 1 1 1 0x7a evex;
    CVTTPD2UQQ "vcvttpd2uqq" 1 1 1 1 0x78 evex;
    CVTUDQ2PS "vcvtudq2ps" 3 1 0 1 0x7a evex;
    CVTQQ2PS "vcvtqq2ps" 0 1 1 1 0x5b evex;
    CVTUQQ2PS "vcvtuqq2ps" 3 1 1 1 0x7a evex;
    RSQRT14PS "vrsqrt14ps" 1 2 0 1 0x4e evex;
    GETEXPPS "vgetexpps" 1 2 0 1 0x42 evex;
    GETMANTPS "vgetmantps" 1 3 0 1 0x26 evex;
    SCALEFPS "vscalefps" 1 2 0 1 0x2c evex;
}
