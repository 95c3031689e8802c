/* llmsim - a small epoll LLM backend simulator for proxy benchmarks.
 *
 * One thread, HTTP/1.1 keep-alive.  Loopback only.
 *   GET  /v1/models, /api/tags   a one-or-more-model list
 *   GET  anything else           200 {"status":"ok"}
 *   POST anything                body with "stream":true -> SSE, else ~1.5 kB JSON
 * The request body steers the answer (all optional):
 *   "stream":true  "max_tokens":N  "sim_gap_us":G  "sim_ttft_us":T  "sim_size":B (non-stream body size)
 *   "sim_sndbuf":B (bytes the kernel may hold of a stream that nobody reads)
 * Each SSE event's content carries " tokNNNNN t=<CLOCK_MONOTONIC ns, 20 digits>" so that a client on
 * the same machine can measure the one-way delay of every token.
 *
 *   llmsim PORT [MODEL[,MODEL...]] [--cl]     --cl: close-delimited SSE instead of chunked
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;
static u64 now_ns(void){struct timespec t;clock_gettime(CLOCK_MONOTONIC,&t);return (u64)t.tv_sec*1000000000ull+t.tv_nsec;}

typedef struct conn {
    int fd, heap_idx;
    char *in; size_t in_len, in_cap;
    char *out; size_t out_len, out_off, out_cap;
    int want_out;
    int streaming, tokens_left, tokens_total, head_sent;
    u64 gap, due;
    int keep;
    int dead;
} conn;

static int ep, close_delim;
static char models_json[8192], tags_json[8192];

/* ---- timer heap ---- */
static conn **heap; static int hn, hcap;
static void hset(int i, conn *c){heap[i]=c;c->heap_idx=i;}
static void hup(int i){conn*c=heap[i];while(i>0){int p=(i-1)/2;if(heap[p]->due<=c->due)break;hset(i,heap[p]);i=p;}hset(i,c);}
static void hdown(int i){conn*c=heap[i];for(;;){int k=2*i+1;if(k>=hn)break;if(k+1<hn&&heap[k+1]->due<heap[k]->due)k++;if(heap[k]->due>=c->due)break;hset(i,heap[k]);i=k;}hset(i,c);}
static void hpush(conn*c){if(hn==hcap){hcap=hcap?hcap*2:1024;heap=realloc(heap,hcap*sizeof*heap);}hset(hn,c);hn++;hup(hn-1);}
static void hdel(conn*c){int i=c->heap_idx;if(i<0)return;hn--;if(i!=hn){conn*l=heap[hn];hset(i,l);hup(i);hdown(l->heap_idx);}c->heap_idx=-1;}

static void out_reserve(conn*c,size_t n){
    if(c->out_off&&c->out_off==c->out_len)c->out_off=c->out_len=0;
    if(c->out_len+n>c->out_cap){c->out_cap=(c->out_len+n)*2;c->out=realloc(c->out,c->out_cap);}
}
static void put(conn*c,const char*s,size_t n){out_reserve(c,n);memcpy(c->out+c->out_len,s,n);c->out_len+=n;}
static conn *graveyard[65536]; static int gn;
static void kill_conn(conn*c){
    if(c->dead)return;
    c->dead=1; hdel(c); close(c->fd);
    if(gn<65536)graveyard[gn++]=c;
}
static int flush_out(conn*c){
    while(c->out_off<c->out_len){
        ssize_t r=send(c->fd,c->out+c->out_off,c->out_len-c->out_off,MSG_NOSIGNAL);
        if(r<0){
            if(errno==EAGAIN){
                if(!c->want_out){struct epoll_event e={.events=EPOLLIN|EPOLLOUT|EPOLLRDHUP,.data.ptr=c};epoll_ctl(ep,EPOLL_CTL_MOD,c->fd,&e);c->want_out=1;}
                return 0;
            }
            kill_conn(c);return -1;
        }
        c->out_off+=r;
    }
    c->out_off=c->out_len=0;
    if(c->want_out){struct epoll_event e={.events=EPOLLIN|EPOLLRDHUP,.data.ptr=c};epoll_ctl(ep,EPOLL_CTL_MOD,c->fd,&e);c->want_out=0;}
    return 1;
}
static void chunk(conn*c,const char*s,int n){
    if(close_delim){put(c,s,n);return;}
    char h[16];int k=sprintf(h,"%x\r\n",n);put(c,h,k);put(c,s,n);put(c,"\r\n",2);
}
static void put_token(conn*c){
    char b[512];int n;
    n=sprintf(b,"data: {\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,"
      "\"model\":\"sim-model\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" tok%05d t=%020llu\"}}]}\n\n",
      c->tokens_total-c->tokens_left,(unsigned long long)now_ns());
    chunk(c,b,n);c->tokens_left--;
}
static void put_tail(conn*c){
    char b[512];int n;
    n=sprintf(b,"data: {\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"sim-model\","
      "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\ndata: [DONE]\n\n",
      c->tokens_total,c->tokens_total+11);
    chunk(c,b,n);
    if(!close_delim)put(c,"0\r\n\r\n",5);
}
static long num(const char*b,const char*e,const char*key,long def){
    char*p=memmem(b,e-b,key,strlen(key));if(!p)return def;p+=strlen(key);
    while(p<e&&(*p=='"'||*p==':'||*p==' '))p++;
    return p<e&&*p>='0'&&*p<='9'?strtol(p,0,10):def;
}
static int is_stream(const char*b,const char*e){
    char*p=memmem(b,e-b,"\"stream\"",8);if(!p)return 0;p+=8;
    while(p<e&&(*p==':'||*p==' '))p++;
    return p+4<=e&&!memcmp(p,"true",4);
}
static void simple(conn*c,const char*body,int n){
    char h[256];int k=sprintf(h,"HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\nserver: uvicorn\r\ncontent-length: %d\r\ncontent-type: application/json\r\n\r\n",n);
    put(c,h,k);put(c,body,n);
}
static void completion(conn*c,long size){
    static char body[1<<20];static int n;static long cached=-1;
    if(size>900000)size=900000;
    if(size!=cached){
        int k=sprintf(body,"{\"id\":\"chatcmpl-0123456789\",\"object\":\"chat.completion\",\"created\":1700000000,\"model\":\"sim-model\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
        while(k<size-160){memcpy(body+k,"lorem ipsum ",12);k+=12;}
        k+=sprintf(body+k,"\"},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":200,\"total_tokens\":211},\"system_fingerprint\":\"sim\"}");
        n=k;cached=size;
    }
    simple(c,body,n);
}
static void step_stream(conn*c,u64 now){       /* c is due */
    int burst=0;
    for(;;){
        if(c->out_len>c->out_off)return;       /* blocked: resumed by EPOLLOUT */
        if(c->tokens_left<=0)break;
        put_token(c);
        if(c->gap==0){ int k=0; while(c->tokens_left>0&&k++<15)put_token(c); }
        if(c->tokens_left<=0){put_tail(c);}
        if(flush_out(c)<0)return;
        if(c->tokens_left<=0)break;
        if(c->gap){ c->due+=c->gap; if(c->due<now)c->due=now+c->gap; if(c->due>now){hpush(c);return;} }
        else if(++burst>=2){c->due=now;hpush(c);return;}
    }
    c->streaming=0;
    if(close_delim&&!c->dead){ if(c->out_len==c->out_off)shutdown(c->fd,SHUT_WR); }
}
static void handle(conn*c);
static void process(conn*c){
    while(!c->dead&&!c->streaming&&c->in_len){
        char*end=memmem(c->in,c->in_len,"\r\n\r\n",4);
        if(!end){ if(c->in_len>65536)kill_conn(c); return; }
        size_t hl=end-c->in+4,cl=0;int chunked=0,http10=0,connclose=0;
        char*l=memchr(c->in,'\n',hl); http10=l&&memmem(c->in,l-c->in,"HTTP/1.0",8)!=0;
        for(char*p=l+1;p<end;){
            char*q=memchr(p,'\n',c->in+hl-p);if(!q)break;
            if(!strncasecmp(p,"content-length:",15))cl=strtoul(p+15,0,10);
            else if(!strncasecmp(p,"transfer-encoding:",18)&&memmem(p,q-p,"chunked",7))chunked=1;
            else if(!strncasecmp(p,"connection:",11)&&memmem(p,q-p,"close",5))connclose=1;
            p=q+1;
        }
        char*bs=c->in+hl,*be=bs+cl;size_t total=hl+cl;
        if(chunked){
            size_t o=hl;int done=0;
            for(;;){
                char*nl=memmem(c->in+o,c->in_len-o,"\r\n",2);if(!nl)return;
                size_t k=strtoul(c->in+o,0,16);o=nl-c->in+2;
                if(o+k+2>c->in_len)return;
                o+=k+2;if(k==0){done=1;break;}
            }
            if(!done)return;
            be=c->in+o;total=o;
        } else if(c->in_len<total)return;
        c->keep=!connclose&&!http10;
        if(!memcmp(c->in,"POST",4)){
            if(is_stream(bs,be)){
                c->tokens_total=c->tokens_left=num(bs,be,"max_tokens",100);
                c->gap=(u64)num(bs,be,"sim_gap_us",20000)*1000;
                u64 ttft=(u64)num(bs,be,"sim_ttft_us",0)*1000;
                int sndbuf=(int)num(bs,be,"sim_sndbuf",0);
                if(sndbuf)setsockopt(c->fd,SOL_SOCKET,SO_SNDBUF,&sndbuf,sizeof sndbuf);
                static const char h[]="HTTP/1.1 200 OK\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\nserver: uvicorn\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\ncontent-type: text/event-stream; charset=utf-8\r\n";
                put(c,h,sizeof h-1);
                if(close_delim)put(c,"connection: close\r\n\r\n",21); else put(c,"transfer-encoding: chunked\r\n\r\n",30);
                if(flush_out(c)<0)return;
                c->streaming=1;c->due=now_ns()+ttft;
                memmove(c->in,c->in+total,c->in_len-total);c->in_len-=total;
                hpush(c);
                return;
            }
            completion(c,num(bs,be,"sim_size",1500));
        } else if(memmem(c->in,l-c->in,"/v1/models",10))simple(c,models_json,strlen(models_json));
        else if(memmem(c->in,l-c->in,"/api/tags",9))simple(c,tags_json,strlen(tags_json));
        else simple(c,"{\"status\":\"ok\"}",15);
        memmove(c->in,c->in+total,c->in_len-total);c->in_len-=total;
        if(flush_out(c)<0)return;
        if(!c->keep&&c->out_len==c->out_off){kill_conn(c);return;}
    }
}
static void handle(conn*c){
    for(;;){
        if(c->in_cap-c->in_len<4096){c->in_cap=c->in_cap?c->in_cap*2:8192;c->in=realloc(c->in,c->in_cap);}
        ssize_t r=recv(c->fd,c->in+c->in_len,c->in_cap-c->in_len,0);
        if(r==0){kill_conn(c);return;}
        if(r<0){if(errno==EAGAIN)break;kill_conn(c);return;}
        c->in_len+=r;
        if(c->in_len<c->in_cap)break;
    }
    process(c);
}
static volatile int stop;
static void onsig(int s){(void)s;stop=1;}
int main(int argc,char**argv){
    if(argc<2){fprintf(stderr,"usage: llmsim PORT [MODELS] [--cl]\n");return 2;}
    int port=atoi(argv[1]);const char*models="sim-model";
    for(int i=2;i<argc;i++){if(!strcmp(argv[i],"--cl"))close_delim=1;else models=argv[i];}
    int a=sprintf(models_json,"{\"object\":\"list\",\"data\":["),b=sprintf(tags_json,"{\"models\":[");
    char*dup=strdup(models),*save;int first=1;
    for(char*m=strtok_r(dup,",",&save);m;m=strtok_r(0,",",&save),first=0){
        a+=snprintf(models_json+a,sizeof models_json-a-8,"%s{\"id\":\"%s\",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"sim\"}",first?"":",",m);
        b+=snprintf(tags_json+b,sizeof tags_json-b-8,"%s{\"name\":\"%s\",\"model\":\"%s\",\"size\":1}",first?"":",",m,m);
    }
    strcpy(models_json+a,"]}");strcpy(tags_json+b,"]}");
    signal(SIGPIPE,SIG_IGN);signal(SIGTERM,onsig);signal(SIGINT,onsig);
    int ls=socket(AF_INET,SOCK_STREAM|SOCK_NONBLOCK,0),one=1;
    setsockopt(ls,SOL_SOCKET,SO_REUSEADDR,&one,sizeof one);
    struct sockaddr_in sa={.sin_family=AF_INET,.sin_port=htons(port)};sa.sin_addr.s_addr=htonl(INADDR_LOOPBACK);
    if(bind(ls,(void*)&sa,sizeof sa)||listen(ls,8192)){perror("bind");return 1;}
    ep=epoll_create1(0);
    struct epoll_event e={.events=EPOLLIN,.data.ptr=0};epoll_ctl(ep,EPOLL_CTL_ADD,ls,&e);
    int tf=timerfd_create(CLOCK_MONOTONIC,TFD_NONBLOCK);static int tfmark;
    e.events=EPOLLIN;e.data.ptr=&tfmark;epoll_ctl(ep,EPOLL_CTL_ADD,tf,&e);
    struct epoll_event ev[512];u64 armed=0;
    while(!stop){
        if(hn){u64 d=heap[0]->due;if(d!=armed){struct itimerspec t={0};t.it_value.tv_sec=d/1000000000ull;t.it_value.tv_nsec=d%1000000000ull;if(!d)t.it_value.tv_nsec=1;timerfd_settime(tf,TFD_TIMER_ABSTIME,&t,0);armed=d;}}
        int n=epoll_wait(ep,ev,512,hn?(heap[0]->due<=now_ns()?0:-1):-1);
        for(int i=0;i<n;i++){
            if(ev[i].data.ptr==&tfmark){u64 x;if(read(tf,&x,8)<0){}armed=0;continue;}
            if(!ev[i].data.ptr){
                for(;;){
                    int fd=accept4(ls,0,0,SOCK_NONBLOCK);if(fd<0)break;
                    setsockopt(fd,IPPROTO_TCP,TCP_NODELAY,&one,sizeof one);
                    conn*c=calloc(1,sizeof*c);c->fd=fd;c->heap_idx=-1;
                    struct epoll_event x={.events=EPOLLIN|EPOLLRDHUP,.data.ptr=c};epoll_ctl(ep,EPOLL_CTL_ADD,fd,&x);
                }
                continue;
            }
            conn*c=ev[i].data.ptr;if(c->dead)continue;
            if(ev[i].events&EPOLLOUT){
                int r=flush_out(c);
                if(r>0&&c->streaming&&c->heap_idx<0){
                    if(c->tokens_left<=0){c->streaming=0;if(close_delim)shutdown(c->fd,SHUT_WR);}
                    else {c->due=now_ns();hpush(c);}
                }
            }
            if(!c->dead&&(ev[i].events&(EPOLLIN|EPOLLRDHUP|EPOLLHUP|EPOLLERR)))handle(c);
        }
        u64 t=now_ns();int cnt=0;
        while(hn&&heap[0]->due<=t&&cnt++<4096){conn*c=heap[0];hdel(c);step_stream(c,t);if(!c->dead&&!c->streaming&&c->in_len)process(c);}
        for(int i=0;i<gn;i++){free(graveyard[i]->in);free(graveyard[i]->out);free(graveyard[i]);}
        gn=0;
    }
    return 0;
}
