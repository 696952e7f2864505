#ifndef CHECKSUM_H
#define CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* The CRC-32 of ISO 3309 (the one of gzip and PNG) of `length` bytes. */
uint32_t checksum_crc32(const uint8_t *bytes, size_t length);

#endif
