/* tso.h: store buffers, for the models in which the order of a store and a later load matters.
 *
 * CPUs 0 to CPUS - 1 each have a queue of stores; drain(cpu) writes them to mem[] in order, at any time. A load that finds no own
 * store of the same word in the queue reads mem[]; models are written so that this is so, ask for pending(), or keep a copy of what they stored last.
 * An atomic read-modify-write and a fence wait until the own queue is empty. This is x86's order (TSO). A relaxed
 * read-modify-write that C11 lets pass later loads is written as a load and a store() of its result.
 *
 * Before including: CPUS, DEPTH (of a queue), WORDS (of memory). */
byte mem[WORDS];
chan sb[CPUS] = [DEPTH] of { byte, byte };

#define store(cpu, word, value) sb[cpu] !word, value
#define fence(cpu) (len(sb[cpu]) == 0)
#define drained(cpu) (len(sb[cpu]) == 0)
#define pending(cpu, word, value) (sb[cpu]??[eval(word), eval(value)])

proctype drain(byte cpu) {
    byte word, value;
end:
    do ::d_step {
            sb[cpu] ? word, value->mem[word] = value;
            word = 0;
            value = 0
        }
    od
}
