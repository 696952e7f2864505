#include "answer.h"

int answer(int question)
{
    return question ? ANSWER_YES : ANSWER_NO;
}

double weigh(const struct thing *thing)
{
    return thing->a * thing->b;
}
