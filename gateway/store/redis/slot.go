package redis

import (
	"strconv"
	"strings"

	"github.com/stagedoor-dev/stagedoor/gateway/address"
)

// slotCount is the number of hash slots of a Redis Cluster.
const slotCount = 16384

// slotOf is the hash slot of a key: of what stands in its first braces, if they hold anything.
func slotOf(key string) uint16 {
	if _, rest, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(rest, "}"); ok && tag != "" {
			key = tag
		}
	}
	return crc16(key) % slotCount
}

// crc16 is CRC-16/XMODEM, as the Cluster specification has it.
func crc16(s string) uint16 {
	var crc uint16
	for i := range len(s) {
		crc = crc<<8 ^ crcTable[byte(crc>>8)^s[i]]
	}
	return crc
}

var crcTable = func() (table [256]uint16) {
	for i := range table {
		crc := uint16(i) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
		table[i] = crc
	}
	return table
}()

// partitionSlots are the slots of the partitions' tags.
var partitionSlots = func() (slots [address.Partitions]uint16) {
	for p := range slots {
		slots[p] = slotOf("{p" + strconv.Itoa(p) + "}")
	}
	return slots
}()
