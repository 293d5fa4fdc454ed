package jsoncbor

import (
	"encoding/binary"
	"math"
	"strconv"
)

// float is the value of a head of major type 7 that stands for a float.
func (h head) float() float64 {
	switch h.info {
	case infoHalf:
		return fromHalf(uint16(h.arg))
	case infoSingle:
		return float64(math.Float32frombits(uint32(h.arg)))
	}
	return math.Float64frombits(h.arg)
}

func fromHalf(bits uint16) float64 {
	exponent, mantissa := int(bits>>10&31), float64(bits&1023)
	var f float64
	switch {
	case exponent == 0:
		f = math.Ldexp(mantissa, -24)
	case exponent < 31:
		f = math.Ldexp(mantissa+1024, exponent-25)
	case mantissa == 0:
		f = math.Inf(1)
	default:
		f = math.NaN()
	}
	if bits>>15 != 0 {
		f = -f
	}
	return f
}

// toHalf is the half-precision form of f; exact is false where f has none.
func toHalf(f float32) (half uint16, exact bool) {
	bits := math.Float32bits(f)
	sign := uint16(bits >> 16 & 0x8000)
	exponent, mantissa := int(bits>>23&255)-127, bits&(1<<23-1)
	switch {
	case bits<<1 == 0:
		return sign, true
	case exponent == 128:
		return sign | 0x7c00, mantissa == 0
	case exponent >= -14 && exponent <= 15:
		return sign | uint16(exponent+15)<<10 | uint16(mantissa>>13), mantissa&(1<<13-1) == 0
	case exponent >= -24 && exponent < -14: // subnormal as a half
		mantissa |= 1 << 23
		shift := uint(-exponent - 1)
		return sign | uint16(mantissa>>shift), mantissa&(1<<shift-1) == 0
	}
	return 0, false
}

// appendCBORFloat appends f in the shortest form that holds it exactly, as preferred serialization has it.
func appendCBORFloat(dst []byte, f float64) []byte {
	if math.IsNaN(f) {
		return append(dst, 0xf9, 0x7e, 0x00)
	}
	single := float32(f)
	if float64(single) != f {
		return binary.BigEndian.AppendUint64(append(dst, 0xfb), math.Float64bits(f))
	}
	if half, exact := toHalf(single); exact {
		return binary.BigEndian.AppendUint16(append(dst, 0xf9), half)
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xfa), math.Float32bits(single))
}

// appendJSONFloat appends f as a number that reads back as a float, and to the same float [JSON-2].
func appendJSONFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `["$Number","NaN"]`...)
	case math.IsInf(f, 1):
		return append(dst, `["$Number","Infinity"]`...)
	case math.IsInf(f, -1):
		return append(dst, `["$Number","-Infinity"]`...)
	}
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(dst, f, 'e', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'f', -1, 64)
	if f == math.Trunc(f) {
		dst = append(dst, ".0"...)
	}
	return dst
}
