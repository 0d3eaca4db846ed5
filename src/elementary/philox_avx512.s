# Blocks of Philox4x32-10 from consecutive numbers on: in every step six vectors of eight blocks, whose instructions take
# turns, and four blocks in scalar registers, whose units are idle otherwise.
#
#   rdi   where to write, 52 blocks a step          rcx   steps, at least one
#   rsi   `Shared`                                   r8    number of the first scalar block, 48 behind the first
#   rdx   first products of six vectors, and what is added to them from step to step
#
# Vector v has words a, b, c, d in zmm(4v) to zmm(4v + 3), starting with another one in each round, and a temporary in
# zmm(24 + v); zmm30 and zmm31 are the multipliers. The scalar blocks follow one another in r9 to r12. The macro `convert`
# makes numbers of a register of words.
.altmacro

# Instruction `at` of what comes before the third round: 7.
.macro philox_start vec, at, wa, wb, wc, wd, wt
    .if \at == 0
        vmovdqa64 zmm\wc, [rdx + 64 * \vec]
        vpaddq zmm\wt, zmm\wc, [rdx + 384]
        vmovdqa64 [rdx + 64 * \vec], zmm\wt
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

# One product of a scalar round.
.macro philox_product factor, key, wb, wc
    imul r\wc, \factor
    rorx rbx, r\wc, 32
    xor r\wb\()d, [rsi + \key]
    xor r\wb\()d, ebx
.endm

# Half `at` of a round of a scalar block, of 17: the first is the first two rounds.
.macro philox_scalar block, at
    .if \at == 0
        lea r11, [r8 + \block]
        mov r12d, [rsi + 40]
        imul r11, r14
        rorx r10, r11, 32
        xor r10d, [rsi + 16]
        imul r10, r15
        xor r11d, [rsi + 32]
        rorx r9, r10, 32
        xor r9d, [rsi + 24]
    .elseif \at % 2 == 1
        philox_product r15, %(40 + 8 * \at), %(9 + (\at / 2 + 1) % 4), %(9 + (\at / 2 + 2) % 4)
    .else
        philox_product r14, %(40 + 8 * \at), %(9 + (\at / 2 + 2) % 4), %(9 + (\at / 2 - 1) % 4)
    .endif
    .if \at == 16
        mov [rdi + 768 + 16 * \block], r9d
        mov [rdi + 772 + 16 * \block], r10d
        mov [rdi + 776 + 16 * \block], r11d
        mov [rdi + 780 + 16 * \block], r12d
    .endif
.endm

# Each vector is two instructions behind the one before it.
.macro philox_diagonal at
    .irp vec, 0, 1, 2, 3, 4, 5
        philox_vector \vec, %(\at - 2 * \vec)
    .endr
    philox_scalar %(\at / 17), %(\at % 17)
.endm

    push rbx
    push r12
    push r14
    push r15
    mov r14d, [rsi]
    mov r15d, [rsi + 8]
    vpbroadcastq zmm30, [rsi]
    vpbroadcastq zmm31, [rsi + 8]
    mov eax, 0x5555
    kmovw k1, eax
    .p2align 6
2:
    .set philox_at, 0
    .rept 72
        philox_diagonal %(philox_at)
        .set philox_at, philox_at + 1
    .endr
    vmovdqu64 zmm0, [rdi + 768]
    convert zmm0
    vmovdqu64 [rdi + 768], zmm0
    add r8, 52
    add rdi, 832
    dec rcx
    jne 2b
    pop r15
    pop r14
    pop r12
    pop rbx
    vzeroupper
    ret
    .p2align 3
3:
    .long 0x33800000
    .p2align 3
4:
    .quad 0x3ca0000000000000

.purgem philox_start
.purgem philox_round
.purgem philox_finish
.purgem philox_turn
.purgem philox_vector
.purgem philox_product
.purgem philox_scalar
.purgem philox_diagonal
.purgem convert
.noaltmacro
