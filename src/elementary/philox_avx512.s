# Blocks of Philox4x32-10 from consecutive numbers on: in every step six vectors of eight blocks, whose instructions take
# turns, and six blocks in scalar registers, whose units are idle otherwise.
#
#   rdi   where to write, 54 blocks a step          rdx   steps, at least one
#   rsi   `Shared`, and room                         rcx   number of the first block
#
# The room: at 64 the keys of the rounds behind those of `Shared`, at 176 where the scalar blocks of the step before are, at
# 192 the first products of the step's first vector.
#
# Vector v has words a, b, c, d in zmm(4v) to zmm(4v + 3), starting with another one in each round, and a temporary in
# zmm(24 + v); zmm30 and zmm31 are the multipliers. Two scalar blocks at a time take turns in r8 to r11 and r12 to r15; the
# multipliers are in rbx and rdx, the number of the first in rbp. The macro `convert` makes numbers of a register of words;
# those of scalar blocks wait for it until the next step, since a load of what several stores write waits for all of them.
.altmacro

# Instruction `at` of what comes before the third round: 7.
.macro philox_start vec, at, wa, wb, wc, wd, wt
    .if \at == 0
        vmovdqa64 zmm\wc, [rsi + 192]
        .if \vec == 5
            vpaddq zmm\wt, zmm\wc, qword ptr [rip + 7f]{1to8}
            vmovdqa64 [rsi + 192], zmm\wt
        .endif
        .if \vec > 0
            vpaddq zmm\wc, zmm\wc, qword ptr [rip + 6f + 8 * \vec]{1to8}
        .endif
    .elseif \at == 1
        vpsrlq zmm\wb, zmm\wc, 32
    .elseif \at == 2
        vpxorq zmm\wb, zmm\wb, qword ptr [rsi + 16]{1to8}
    .elseif \at == 3
        vpmuludq zmm\wb, zmm\wb, zmm31
    .elseif \at == 4
        vpxorq zmm\wc, zmm\wc, qword ptr [rsi + 32]{1to8}
    .elseif \at == 5
        vpsrlq zmm\wa, zmm\wb, 32
    .else
        vpxorq zmm\wa, zmm\wa, qword ptr [rsi + 24]{1to8}
        vpbroadcastq zmm\wd, [rsi + 40]
    .endif
.endm

# Instruction `at` of a round: 6.
.macro philox_round round, at, wa, wb, wc, wd, wt
    .if \at == 0
        vpmuludq zmm\wc, zmm\wc, zmm31
    .elseif \at == 1
        vpmuludq zmm\wa, zmm\wa, zmm30
    .elseif \at == 2
        vpsrlq zmm\wt, zmm\wc, 32
    .elseif \at == 3
        vpternlogq zmm\wb, zmm\wt, qword ptr [rsi + 48 + 16 * \round]{1to8}, 0x96
    .elseif \at == 4
        vpsrlq zmm\wt, zmm\wa, 32
    .else
        vpternlogq zmm\wd, zmm\wt, qword ptr [rsi + 56 + 16 * \round]{1to8}, 0x96
    .endif
.endm

# Instruction `at` of the last round and what is made of its words: 12.
.macro philox_finish vec, at, wa, wb, wc, wd, wt
    .if \at == 0
        vpmuludq zmm\wc, zmm\wc, zmm31
    .elseif \at == 1
        vpmuludq zmm\wa, zmm\wa, zmm30
    .elseif \at == 2
        vpshufd zmm\wc, zmm\wc, 0xb1
    .elseif \at == 3
        vpternlogd zmm\wc{k1}, zmm\wb, dword ptr [rsi + 160]{1to16}, 0x96
    .elseif \at == 4
        vpshufd zmm\wa, zmm\wa, 0xb1
    .elseif \at == 5
        vpternlogd zmm\wa{k1}, zmm\wd, dword ptr [rsi + 168]{1to16}, 0x96
    .elseif \at == 6
        vpunpcklqdq zmm\wt, zmm\wc, zmm\wa
    .elseif \at == 7
        vpunpckhqdq zmm\wb, zmm\wc, zmm\wa
    .elseif \at == 8
        convert zmm\wt
    .elseif \at == 9
        convert zmm\wb
    .elseif \at == 10
        vmovups [rdi + 128 * \vec], zmm\wt
    .else
        vmovups [rdi + 128 * \vec + 64], zmm\wb
    .endif
.endm

# The words of a vector, the first of which is number `from`.
.macro philox_turn name, number, at, from, vec
    \name \number, \at, %(4 * \vec + \from % 4), %(4 * \vec + (\from + 1) % 4), %(4 * \vec + (\from + 2) % 4), %(4 * \vec + (\from + 3) % 4), %(24 + \vec)
.endm

# Instruction `at` of a vector: 61.
.macro philox_vector vec, at
    .if \at >= 0
        .if \at < 7
            philox_turn philox_start, \vec, \at, 0, \vec
        .elseif \at < 49
            philox_turn philox_round, %((\at - 7) / 6), %((\at - 7) % 6), %((\at - 7) / 6), \vec
        .elseif \at < 61
            philox_turn philox_finish, \vec, %(\at - 49), 3, \vec
        .endif
    .endif
.endm

# The first two rounds of a scalar block.
.macro philox_scalar_start block, wa, wb, wc, wd
    lea r\wc, [rbp + \block]
    mov r\wd\()d, [rsi + 40]
    imul r\wc, rbx
    rorx r\wb, r\wc, 32
    xor r\wb\()d, [rsi + 16]
    imul r\wb, rdx
    xor r\wc\()d, [rsi + 32]
    rorx r\wa, r\wb, 32
    xor r\wa\()d, [rsi + 24]
.endm

# One product of a scalar round.
.macro philox_product factor, key, wb, wc
    imul r\wc, \factor
    rorx rax, r\wc, 32
    xor r\wb\()d, [rsi + \key]
    xor r\wb\()d, eax
.endm

.macro philox_scalar_store block, wa, wb, wc, wd
    mov [rdi + 768 + 16 * \block], r\wa\()d
    mov [rdi + 772 + 16 * \block], r\wb\()d
    mov [rdi + 776 + 16 * \block], r\wc\()d
    mov [rdi + 780 + 16 * \block], r\wd\()d
.endm

# Half `at` of a round of a scalar block, of 17: the first is the first two rounds. The words start with register `from`.
.macro philox_scalar block, at, from
    .if \at == 0
        philox_scalar_start \block, %(\from), %(\from + 1), %(\from + 2), %(\from + 3)
    .elseif \at % 2 == 1
        philox_product rdx, %(40 + 8 * \at), %(\from + (\at / 2 + 1) % 4), %(\from + (\at / 2 + 2) % 4)
    .else
        philox_product rbx, %(40 + 8 * \at), %(\from + (\at / 2 + 2) % 4), %(\from + (\at / 2 - 1) % 4)
    .endif
    .if \at == 16
        philox_scalar_store \block, %(\from), %(\from + 1), %(\from + 2), %(\from + 3)
    .endif
.endm

# Numbers of the scalar blocks of the step before, in registers that vectors 0 and 3 do not use between two rounds.
.macro philox_convert
    mov rax, [rsi + 176]
    vmovdqu64 zmm24, [rax]
    vmovdqu64 ymm27, [rax + 64]
    convert zmm24
    convert ymm27
    vmovdqu64 [rax], zmm24
    vmovdqu64 [rax + 64], ymm27
.endm

# Each vector is two instructions behind the one before it; the 102 halves of scalar rounds are spread evenly.
.macro philox_diagonal at
    .if \at == 43
        philox_convert
    .endif
    .irp vec, 0, 1, 2, 3, 4, 5
        philox_vector \vec, %(\at - 2 * \vec)
    .endr
    .rept 102 * (\at + 1) / 72 - 102 * \at / 72
        philox_scalar %(philox_half / 34 * 2 + philox_half % 2), %(philox_half % 34 / 2), %(8 + philox_half % 2 * 4)
        .set philox_half, philox_half + 1
    .endr
.endm

    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    vpbroadcastq zmm30, [rsi]
    vpbroadcastq zmm31, [rsi + 8]
    vpbroadcastq zmm0, rcx
    vpaddq zmm0, zmm0, [rip + 5f]
    vpmuludq zmm0, zmm0, zmm30
    vmovdqa64 [rsi + 192], zmm0
    # There is no step before the first: what vector 0 overwrites.
    mov [rsi + 176], rdi
    # A load of a key would wait long for a store of several, which is what a compiler makes of them.
    mov eax, [rsi + 48]
    mov ebx, [rsi + 56]
    .set philox_at, 64
    .rept 7
        add eax, 0x9e3779b9
        add ebx, 0xbb67ae85
        mov [rsi + philox_at], rax
        mov [rsi + philox_at + 8], rbx
        .set philox_at, philox_at + 16
    .endr
    mov eax, 0x5555
    kmovw k1, eax
    lea rbp, [rcx + 48]
    mov rcx, rdx
    mov ebx, [rsi]
    mov edx, [rsi + 8]
    .p2align 6
2:
    .set philox_at, 0
    .set philox_half, 0
    .rept 72
        philox_diagonal %(philox_at)
        .set philox_at, philox_at + 1
    .endr
    lea rax, [rdi + 768]
    mov [rsi + 176], rax
    add rbp, 54
    add rdi, 864
    dec rcx
    jne 2b
    philox_convert
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    vzeroupper
    ret
    # 2⁻²⁴, 2⁻⁵³, the order of a vector's blocks, and multiples of a multiplier: what is added to the first products of the
    # first vector for those of the others, and for the next step.
    .p2align 6
3:
    .rept 16
        .long 0x33800000
    .endr
4:
    .rept 8
        .quad 0x3ca0000000000000
    .endr
5:
    .quad 0, 4, 1, 5, 2, 6, 3, 7
6:
    .quad 0x0, 0x69288fa98, 0xd2511f530, 0x13b79aefc8, 0x1a4a23ea60, 0x20dcace4f8
7:
    .quad 0x2c5d1c9b82

.purgem philox_start
.purgem philox_round
.purgem philox_finish
.purgem philox_turn
.purgem philox_vector
.purgem philox_scalar_start
.purgem philox_product
.purgem philox_scalar_store
.purgem philox_scalar
.purgem philox_convert
.purgem philox_diagonal
.purgem convert
.noaltmacro
