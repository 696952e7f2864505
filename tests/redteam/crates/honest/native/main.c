#include <stdio.h>
#include "answer.h"

int main(void)
{
    printf("%d\n", answer(1));
    return 0;
}
