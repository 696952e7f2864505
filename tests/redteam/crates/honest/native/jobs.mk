# Sixteen jobs, held by whoever runs make to as many tokens as there are.
names := 01 02 03 04 05 06 07 08 09 10 11 12 13 14 15 16
all: $(names:=.o)
%.o: %.c
	cc -c -o $@ $<
%.c:
	echo 'int f$*(void) { return 1$*; }' > $@
.PRECIOUS: %.c
.PHONY: all
